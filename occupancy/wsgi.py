"""The WSGI entry: ``gunicorn occupancy.wsgi:app``."""

from __future__ import annotations

from occupancy import create_app
from occupancy.core.errors import SettingError

try:
    app = create_app()
except SettingError as error:
    raise SystemExit(f"occupancy: {error.detail}") from error
