"""The judge's own model of the table of states and operations.

It is written from what the product promises, not from its code. Begin with ``table.py``, then
``operations.py``. Times are no part of it; ``log_checks.py`` has them.
"""
