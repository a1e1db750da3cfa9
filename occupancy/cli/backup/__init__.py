"""Backups: everything that a deployment keeps, in one file, and back.

A backup is made of values and not of the server's own dumps: so one of Valkey can be restored into
an older Redis, and one of a single server into a Cluster. ``selection`` says which keys are kept,
``file`` is the file, ``reader`` reads the server, ``restorer`` writes it, and ``positions`` lifts
what people may have seen since the backup.

**The instant.** Each board is read at one instant, and so is access. Items, indexes and settings of
a board are read in one transaction. Its log, histories and Idempotency-Keys only grow, so they are
read after it, while work goes on, and cut where the transaction was: the log at the board's cursor,
a history at the item's version, a key's record by its cursor. Boards share nothing, so nothing
relates their instants. Access comes last: a name that has changed since a board was read is marked
as changed.
"""
