"""The fault run: real servers, two nodes behind a proxy, and a check of what was promised.

Begin with ``round.py``: it runs one fault under load. ``deployment/`` is what runs, ``load/`` who
uses it, ``faults.py`` what is done to the servers, and ``checks.py`` what must hold afterwards.
Servers are started with the helpers of the tests.
"""
