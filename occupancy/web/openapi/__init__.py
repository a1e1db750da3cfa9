"""OpenAPI: the document that describes the API, made from the tables that the API runs on.

It imports core, and the media types of ``io``; the docs routes import it. Begin with ``document``.
"""
