"""Files from anybody, read in a process with limits: ``process`` is that.

``parsing`` starts it for each file, ``reading`` runs in it, ``workbook`` knows the spreadsheets.
``guessing`` says where the header probably is and which column is the code, and ``headerless``
whether the first row is an item already.
"""
