"""The connection to the Redis or Valkey server: pools, budget, scripts, and the embedded server.

Imports core only; every other package may import it. Begin with client.py (one command), then
pool.py and fair_queue.py (waiting in turn), scripts.py and lua/ (the atomic operations).
"""
