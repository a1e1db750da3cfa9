"""Access under attack: who may do what, how soon revoked access ends, how slow guessing is.

Begin with ``run.py``. ``expected.py`` says what must be, and takes nothing from the product.
"""
