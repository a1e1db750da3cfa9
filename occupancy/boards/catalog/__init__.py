"""The catalog of boards: which there are, and their settings.

Begin with ``boards``, which creates, lists and sets boards up. ``fields`` has the settings as they
are stored and as a request changes them, ``index`` the names. ``boards/removal.py`` removes boards.
"""
