"""Stations, shared tablets that an administrator has paired, and badges, which sign in there.

Begin with ``station``; ``access/sign_in.py`` checks a badge.
"""
