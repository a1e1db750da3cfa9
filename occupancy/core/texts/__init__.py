"""Texts that several packages write: counted nouns in ``plurals``, cells in ``formulas``."""
