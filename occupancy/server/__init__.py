"""The web server's processes: gunicorn's worker class, sockets with bounds, and the fast path.

May import ``web`` and all below; only gunicorn's configuration imports it. Begin with ``process``:
what serves in a process, from its start to its drain. ``worker`` is the class that gunicorn makes
in each process, ``master`` makes what all processes share. A connection goes from ``listener`` to
``fast/connection.py``.
"""
