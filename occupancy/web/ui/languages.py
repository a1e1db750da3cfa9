"""Languages: the pages' texts, from message catalogs, in the language that the browser asks for.

A catalog is static/i18n/<language>.json, and <language>.manage.json with the texts of the pages
that set a plant up, which the floor need not load; the pages' scripts read the same files. A test
demands the same messages of every language.
"""

from __future__ import annotations

import msgspec
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from occupancy.web.ui.assets import Assets

LANGUAGES = ("en", "es")
COOKIE = "lang"


def load_catalogs(assets: Assets) -> dict[str, dict[str, str]]:
    """The messages by key, for each of LANGUAGES."""
    return {
        language: {
            key: message
            for name in (f"{language}.json", f"{language}.manage.json")
            for key, message in msgspec.json.decode(
                assets.text(f"i18n/{name}"), type=dict[str, str]
            ).items()
        }
        for language in LANGUAGES
    }


def choose(chosen: str | None, accept_language: str) -> str:
    """The language of the answer: ``chosen``, else the browser's preferred one, else English.

    ``accept_language`` is the header (RFC 9110, 12.5.4).
    """
    if chosen in LANGUAGES:
        return chosen
    accepted = parse_accept_header(accept_language, LanguageAccept)
    return accepted.best_match(LANGUAGES, LANGUAGES[0])
