"""Request bodies: the JSON that the API takes, checked as it is decoded.

Begin with ``decoding``. ``items``, ``boards`` and ``access`` have the bodies, ``checks`` the rules
that a type cannot express, which other texts from outside keep too.
"""
