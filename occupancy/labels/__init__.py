"""Labels of items, drawn for the page and the command line. Pure; begin with sheet.py.

stocks.py has the sizes of paper, label.py draws one label, lines.py wraps its texts, code.py draws
QR codes, and document.py makes one file of all pages.
"""
