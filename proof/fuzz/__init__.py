"""Fuzzing of what reads bytes from outside.

A case is bytes, and each target makes cases by a grammar (``requests``, ``values``, ``bodies``,
``tables``) or by editing the kept ones (``corpus/``). ``both_ways`` sends a case to the fast path
and to gunicorn with Flask, and compares. Begin with ``targets.py``; ``bin/fuzz`` runs it.
"""
