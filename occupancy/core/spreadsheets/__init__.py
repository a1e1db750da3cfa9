"""Habits of spreadsheets that every file for them must respect: see ``formulas.py``."""
