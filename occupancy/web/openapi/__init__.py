"""OpenAPI: the document that describes the API, made from the tables that the API runs on.

It imports core only; the docs routes import it. Begin with ``document``.
"""
