"""Core: the vocabulary of the service, without I/O.

Settings, errors, the transition table, items and workers, request bodies, keys. Every other
package may import it; it imports none of them, and neither Redis nor Flask. Begin with
``transitions``, the state machine, and ``entities``, the shapes of its items and workers.
"""
