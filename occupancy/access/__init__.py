"""Access: workers, their credentials, and the limits on using them.

May import core, storage and observability. Begin with ``authenticator``: it turns a credential
(core.principal) into a principal. ``sessions``, ``tokens``, ``links`` and ``tickets`` create
credentials; ``sign_in`` checks who may have a session; ``login_throttle`` and ``pin_queue`` bound
guessing; ``read_turns`` shares a process between its readers. Roles are checked in ``web/auth.py``.
"""
