"""Stations, shared tablets that an administrator has paired, and badges, which sign in there.

Begin with ``station``; ``access/sessions.py`` opens the sessions.
"""
