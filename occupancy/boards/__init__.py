"""Boards and their items: what changes them, what reads them, and their logs.

May import core and storage. Services, web and the command line import it; live delivery does not.
To learn how an operation is carried out, begin with ``commands`` and go on to the script in
``storage/lua/board/operate/``. For reading, begin with ``queries`` and ``log``. ``store`` holds all
parts together.
"""
