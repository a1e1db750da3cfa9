"""CSV files of items and workers.

``importer`` and ``exporter`` do the work; ``encoding``, ``table`` and ``cells`` know the habits of
spreadsheets. Only the commands import it. Begin with ``importer``.
"""
