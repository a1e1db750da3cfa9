"""The WSGI entry: ``gunicorn wsgi:app``; ``flask`` finds it by its name."""

from occupancy import create_app
from occupancy.core.errors import SettingError

try:
    app = create_app()
except SettingError as error:
    raise SystemExit(f"occupancy: {error.detail}") from error
