"""Live delivery: every event of a board reaches every stream of it, in order, once.

One direction, and no part calls back: ``reader``, ``hub``, ``board_log``, ``board_frames``,
``broadcaster`` (with ``pacing``), ``subscriber``, ``socket_writer``. docs/design.md follows an
event through them. Beside it, ``probe`` finds what the reader did not hear, ``revocation`` ends
streams of callers that may not watch any more, ``limits`` bounds their number, ``sse`` has the
bytes.

Imports core, storage and observability; the boards' log and the authenticator are Protocols, made
by services. Imported by services, web and server. Begin with ``subscriber``: its ``join`` is where
a stream becomes gapless.
"""
