"""The embedded Valkey, for deployments without REDIS_URL.

gunicorn's master imports it before gevent patches anything, and the supervisor is a process of its
own. So it imports core only, and neither redis nor gevent nor flask. Begin with ``owner``, then
``supervisor``.
"""
