"""Live delivery: every event of a board reaches every stream of it, in order, once.

An event goes one way:

1. ``reader.Reader._read`` hears the publication, on one connection per process.
2. ``hub.Hub.on_entry`` finds the board, if a stream of this process watches it.
3. ``board_log.BoardLog.offer`` moves the position on, or has missed entries read from the log
   first.
4. ``board_frames.BoardFrames.deliver`` makes the entry a frame and remembers it for returning
   browsers.
5. ``broadcaster.Broadcaster.add`` numbers it and puts it into the board's channel; ``pacing`` says
   when the next round begins.
6. ``broadcaster.Channel.hand_out`` hands the round's frames to each stream.
7. ``subscriber.Subscriber.push`` keeps them within the stream's bound.
8. ``socket_writer.SocketWriter.send`` writes them to the client's socket.

``probe`` finds what the reader did not hear, ``revocation`` ends streams of callers that may not
watch any more, ``limits`` bounds the number of streams, and ``sse`` encodes frames.

May import core, storage and observability. It knows the boards' log and the authenticator only as
Protocols; services passes them in. Services, web and server import it. Begin with ``subscriber``:
its ``join`` and ``go_live`` make a stream gapless. ``web/open_stream.py`` begins every stream.
"""
