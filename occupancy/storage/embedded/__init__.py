"""The embedded Valkey, for deployments without REDIS_URL: owner.py, then supervisor.py.

gunicorn's master imports it before gevent patches anything, and the supervisor is a process of its
own: core only, and neither redis nor gevent nor flask.
"""
