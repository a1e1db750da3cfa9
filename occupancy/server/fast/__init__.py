"""The fast path: the most frequent requests, answered without gunicorn's parser and Flask.

It calls the same functions of ``web`` that Flask's routes call, and leaves to gunicorn what it does
not understand. Only ``server`` imports it. Begin with ``connection``.
"""
