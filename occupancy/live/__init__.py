"""Live delivery: every event of a board reaches every stream of it, in order, once.

One direction, and no part calls back: ``reader``, ``feed``, ``board_log``, ``board_frames``,
``broadcaster`` (with ``pacing``), ``subscriber``, ``socket_writer``. docs/design.md follows an
event through them. A feed belongs to one server; its probe finds what the reader did not hear. The
``hub`` gives each board to the feed of its server. ``revocation`` ends streams of callers that may
not watch any more, ``limits`` bounds their number, ``sse`` has the bytes.

May import core, storage and observability. It knows the boards' log and the authenticator only as
Protocols; services passes them in. Services, web and server import it. Begin with ``subscriber``:
its ``join`` and ``go_live`` make a stream gapless. ``web/open_stream.py`` begins every stream.
"""
