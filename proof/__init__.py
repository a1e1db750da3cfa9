"""The fault run: real servers, two nodes behind a proxy, and a check of everything that was promised.

Begin with ``round.py``: it runs one fault under load. ``site.py`` has what runs, ``workers.py`` and
``watchers.py`` have the load, ``faults/`` what is done to the servers, ``checks.py`` what must hold.
It starts its servers with the helpers of the tests.
"""
