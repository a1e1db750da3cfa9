"""HTTP by way of Flask: authorization, errors, request and response I/O, routes, pages.

May import services and the packages below it. Begin with ``routes``: one blueprint per noun. Each
view declares its least role (``auth``); ``operations`` carries out what changes an item, also for
the fast path; ``problems`` turns every error into a response.
"""
