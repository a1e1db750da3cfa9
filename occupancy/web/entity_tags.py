"""Entity tags (RFC 9110, 8.8.3) in `If-Match` and `If-None-Match`.

A proxy that compresses a response rewrites our ETag: nginx makes it weak (`W/"12"`), Apache's
mod_deflate and mod_brotli, Jetty and others append the coding (`"12-gzip"`, `"12;gzip"`,
`"12--gzip"`). It still names the version, which rises with every change of an item, whatever the
bytes. So `If-Match` accepts these forms too, although by the RFC (13.1.1) a weak tag matches
nothing there.

Werkzeug's ``parse_etags`` does not serve: it accepts unquoted values, so a mistaken `If-Match: 12`
would be no error, and it loses the order of the tags. It takes about as long (5 µs).
"""

from __future__ import annotations

import re

from occupancy.core.errors import InvalidRequest

ANY = "*"
_TAG = re.compile(r'(?:W/)?"([^"]*)"')
# Elements of a list may be empty (5.6.1), for example where headers were joined.
_LIST = re.compile(r'[\s,]*(?:W/)?"[^"]*"\s*(?:,\s*(?:(?:W/)?"[^"]*"\s*)?)*')
_CODING = re.compile(r"(?:(?:--?|;)(?:x-)?(?:gzip|br|deflate|zstd|compress))+\Z")


def known_tags(if_none_match: str | None) -> list[str]:
    """The tags in If-None-Match, as they were before a proxy rewrote them; ``*`` for any."""
    if if_none_match is None:
        return []
    if if_none_match.strip() == ANY:
        return [ANY]
    return [_CODING.sub("", tag) for tag in _TAG.findall(if_none_match)]


def allowed_versions(if_match: str | None) -> list[str] | None:
    """The versions that If-Match allows, ``*`` for any; None without the header.

    Raises InvalidRequest.
    """
    if if_match is None:
        return None
    if if_match.strip() != ANY and not _LIST.fullmatch(if_match):
        raise InvalidRequest('If-Match is not an entity tag: send the version as "12", quoted.')
    return known_tags(if_match)
