"""Planted bugs: mistakes that somebody could make, and the tests that notice each of them.

``bugs/`` has them by area; begin with ``bug.py``. ``bin/plant`` applies each to a copy of the tree
and runs the tests that should notice. A bug that no test notices lacks a test.
"""
