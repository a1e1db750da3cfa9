"""The audit trail: who has signed in, was refused, and has changed what, kept in Redis.

It stands beside the audit log, whose lines go to stderr (audit_log.py), for people without a shell.
Begin with ``trail.py``, which writes; ``events.py`` lists the events, ``entries.py`` has the form
of an entry, ``reader.py`` and ``export.py`` read.
"""
