"""The sample: a shop to try the service with, loaded and removed in one step each.

Begin with ``content.py``, which says what it consists of. The command line and the API use it.
"""
