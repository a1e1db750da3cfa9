"""The WSGI entry of a checkout: ``gunicorn wsgi:app``; ``flask`` finds it by its name."""

from occupancy.wsgi import app

__all__ = ["app"]
