"""One server: faults of processes, of the server, of the network, of clocks and of resources.

Begin with ``round.py``.
"""
