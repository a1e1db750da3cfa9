"""The connection to the Redis or Valkey server: pools, budget, scripts, and the embedded server.

May import core; every package above may import it. Begin with ``client`` (one command), then
``pool`` and ``fair_queue`` (waiting in turn), ``scripts`` and ``lua/`` (the atomic operations).
"""
