"""UI: the files of the pages, and their texts in each language.

``static/`` has scripts, styles and texts (``i18n/``), ``templates/`` the shells that the page
routes render. Imports no other package of ours; ``web.io`` and ``web.routes`` import it. Begin with
``static/js/board.js``.
"""
