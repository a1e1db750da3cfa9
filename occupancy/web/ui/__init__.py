"""UI: the files of the pages, and their texts in each language.

static/ has scripts, styles and message catalogs, templates/ the shells that the page routes
render. It imports nothing of ours; web.routes imports it. Begin with ``static/js/board.js``.
"""
