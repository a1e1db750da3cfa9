"""The full run: goals, which rounds come next, and counts that are added to over several runs.

Imports nothing of ``occupancy``.
"""
