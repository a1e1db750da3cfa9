"""CSV files of items and workers: encoding.py, table.py and cells.py read, then import and export.

Imported by the commands only. Begin with importer.py.
"""
