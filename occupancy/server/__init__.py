"""The web server's processes: gunicorn's worker class, sockets with bounds, and the fast path.

It may import ``web`` and all below; nothing imports it but gunicorn's configuration. Begin reading
in ``worker.py``, which gunicorn makes in each process, and ``process.py``, which says what serves
there. A connection goes from ``listener.py`` to ``fast/connection.py``.
"""
