"""Fuzzing of what reads bytes from outside.

A case is bytes, and each target (``inputs/``) makes cases by a grammar or by editing kept ones
(``corpus/``). ``twins.py`` sends a case to the fast path and to gunicorn with Flask, and compares.
Begin with ``targets.py``; ``bin/fuzz`` runs it.
"""
