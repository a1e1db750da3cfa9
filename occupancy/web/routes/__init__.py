"""The routes, one blueprint per module, registered by ``create_app``.

May import what web may. Begin with ``boards``: boards, items and operations. A view checks its
input, calls one service and renders the answer.
"""
