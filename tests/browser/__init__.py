"""The screens in a real Chromium, against real gunicorn and a real Valkey."""
