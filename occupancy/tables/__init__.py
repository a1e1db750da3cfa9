"""Tables of items and workers: CSV files and spreadsheets, read and written.

``csv_file`` makes records of a CSV file and ``sandbox`` of any file, in a process with limits;
``columns`` guesses what they mean, ``table`` gives their columns names, and ``imports`` and
``exporter`` do the work. ``encoding`` and ``cells`` know the habits of spreadsheets, ``xlsx_file``
writes one. ``uploads`` keeps what was uploaded until it is imported.
"""
