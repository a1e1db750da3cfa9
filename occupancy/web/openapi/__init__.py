"""OpenAPI: the document that describes the API, made from the tables that the API runs on.

Imports core, and the media types of ``io``; ``routes/docs.py`` imports it. Begin with ``document``.
"""
