"""HTTP with Flask: authorization, errors, request and response I/O, routes, pages.

May import services and the packages below it. Begin with ``routes``: one blueprint per noun. Each
view declares its least role (``auth``). ``operations`` carries out what changes an item and
``open_stream`` begins every stream, for the fast path too. ``problems`` turns every error into a
response.
"""
