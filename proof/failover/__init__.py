"""Failovers: one fault of a Cluster or a Sentinel set-up under load, and what must hold after it.

Begin with ``round.py``. ``faults.py`` is what is done to the servers; ``checks.py`` is what must
hold afterwards.
"""
