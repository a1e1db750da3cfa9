"""Imports: rows of tables become items and workers.

``item_rows`` and ``worker_rows`` check the rows, ``item_import`` and ``worker_import`` add or edit
what they say, and ``report`` has the result.
"""
