"""Tables of items and workers: CSV files and spreadsheets, read and written.

``csv_file`` makes records of a CSV file and ``sandbox`` of any file, in a process with limits that
also guesses what they mean; ``columns`` and ``table`` name their columns, and ``imports`` and
``exporter`` do the work. ``encoding`` and ``cells`` know the habits of spreadsheets, ``xlsx_file``
writes one. ``uploads`` keeps what was uploaded until it is imported.
"""
