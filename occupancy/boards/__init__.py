"""Boards and their items: what changes them, what reads them, and their logs.

Imports core and storage only; services, the web and the command line import it, live delivery does
not. Begin with ``commands.py`` for how an operation is carried out, and then the script in
``storage/lua/board/operate/``; with ``queries.py`` and ``log.py`` for reading. ``store.py`` holds
all parts together.
"""
