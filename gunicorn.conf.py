"""gunicorn reads this file from the working directory; the package has the configuration."""

from occupancy.server.gunicorn_config import *  # noqa: F403 - each name is a setting or a hook
