"""Live delivery: every event of a board reaches every stream of it, in order, once.

One direction, and no part calls back. The walk of one event:

1. ``reader.Reader._read`` hears the publication, on one connection per process.
2. ``hub.Hub.on_entry`` finds the board, if a stream of this process watches it.
3. ``board_log.BoardLog.offer`` moves the position on, and reads missed entries from the log first.
4. ``board_frames.BoardFrames.deliver`` makes the entry a frame and remembers it for returning
   browsers.
5. ``broadcaster.Broadcaster.add`` numbers it and puts it into the board's channel; ``pacing`` says
   when the next round begins.
6. ``broadcaster.Channel.hand_out`` hands the round's frames to each stream.
7. ``subscriber.Subscriber.push`` keeps them within the stream's bound.
8. ``socket_writer.SocketWriter.send`` writes them to the client's socket.

Beside it: ``probe`` finds what the reader did not hear, ``revocation`` ends streams of callers that
may not watch any more, ``limits`` bounds the number of streams, ``sse`` has the bytes.

Imports core, storage and observability; the boards' log and the authenticator are Protocols, made
by services. Imported by services, web and server. Begin with ``subscriber``: its ``join`` is where
a stream becomes gapless.
"""
