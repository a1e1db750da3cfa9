"""The audit trail: who has signed in, was refused, and has changed what, kept in Redis.

The audit log's lines on stderr (audit_log.py) stay as they are; the trail is beside them, for people
who have no shell. Begin with ``trail.py`` (writes); ``events.py`` lists the events, ``reader.py``
and ``export.py`` read them.
"""
