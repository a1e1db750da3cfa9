"""Histories: what callers, watchers and the server saw, and an independent judge of it.

Begin with ``history.py``. Nothing here imports ``occupancy``: the judge has its own model of the
operations.
"""
