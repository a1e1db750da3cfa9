"""Languages: every text in each of them, none too many, and which one a browser is answered in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from occupancy.core.entities import STATES, Role
from occupancy.core.errors import answered_kinds
from occupancy.core.requests.boards import BoardSettingsBody
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS
from occupancy.labels.stocks import STOCKS
from occupancy.observability.audit_trail.events import EVENTS as AUDIT_EVENTS
from occupancy.tables.causes import FILE_CAUSES, ROW_CAUSES
from occupancy.tables.imports.worker_rows import RefusalCode
from occupancy.web.ui.languages import LANGUAGES, choose
from tests.support.deployment import ROOT

PACKAGE = ROOT / "occupancy" / "web" / "ui"
SCRIPTS = sorted((PACKAGE / "static" / "js").glob("*.js"))
TEMPLATES = sorted((PACKAGE / "templates").glob("*.html"))

OPERATIONS = set(TRANSITIONS)
EVENTS = {row.event for row in (*TRANSITIONS.values(), PUT, REMOVE)} | {"item.added"}
# Refusals that no touch of a button meets, for what the pages send is well-formed, and they change
# no board and import no file.
_OF_PROGRAMS = {
    "already_exists", "board_not_empty", "board_not_found", "idempotency_key_reused",
    "import_not_found", "invalid_request", "method_not_allowed", "not_found", "step_in_use",
    "too_large", "unsupported_media_type", "version_mismatch",
}  # fmt: skip
KINDS_OF_CARDS = {"badge", "link", "pin"}
# Keys whose end is computed: t(`state.${…}`). What it may be is taken from the code's own tables.
COMPUTED: dict[str, set[str]] = {
    "account.means_": {"session", "badge", "station", "token"},
    "audit.detail.": {
        "badge",
        "boards",
        "code",
        "complete",
        "credential",
        "days",
        "fields",
        "file",
        "format",
        "idle_s",
        "items",
        "more",
        "name",
        "rejected",
        "role",
        "rows",
        "station",
        "steps",
        "token",
        "unchanged",
        "version",
        "workers",
    },
    "audit.event.": set(AUDIT_EVENTS),
    "audit.filter.": {
        "event",
        "worker",
        "by",
        "board",
        "address",
        "since",
        "until",
        "text",
    },
    "audit.kind.": set(AUDIT_EVENTS),
    "audit.means.": {
        "session",
        "token",
        "cli",
        "pin",
        "link",
        "new_pin",
        "badge",
        "badge_and_pin",
        "pairing",
    },
    "audit.reason.": {
        "unauthenticated",
        "forbidden",
        "csrf",
        "rate_limited",
        "unconfirmed",
        "others",
        "wrong",
    },
    "ask.reason_": {"optional", "required"},
    "day.own.": {"completed", "paused", "released"},
    "cards.about.": KINDS_OF_CARDS,
    "cards.kind.": KINDS_OF_CARDS,
    "cards.made.": {f"{kind}.{form}" for kind in KINDS_OF_CARDS for form in ("one", "other")},
    "cards.make.": KINDS_OF_CARDS,
    "cards.uncertain.": KINDS_OF_CARDS,
    "column.": {"tag", "title", "state", "step", "holder", "since"},
    "done.": OPERATIONS,
    "event.": EVENTS,
    "group.by_": {"section", "none", "step", "holder"},
    "history.": EVENTS,
    "labels.stock.": set(STOCKS),
    "import.cause.": {*FILE_CAUSES, *ROW_CAUSES},
    "import.result.": {"added", "updated", "unchanged", "rejected"},
    "layout.": {"cards", "table", "columns"},
    "live.": {"connecting", "live", "degraded", "offline"},
    "operation.": OPERATIONS,
    "people.result.": {"added", "updated", "unchanged"},
    "people.why.": set(get_args(RefusalCode)),
    "refusal.": ({kind.code for kind in answered_kinds()} - _OF_PROGRAMS)
    | {"unreachable", "item_not_found", "blocked_plain", "not_holder_plain"},
    "role.": {role.label for role in Role},
    "settings.field.": set(BoardSettingsBody.__struct_fields__),
    "settings.noun_": {"one", "many"},
    "settings.wrong.": {"blank", "character", "twice", "limit", "zone"}
    | {"blank_title", "character_title", "twice_title", "id_step", "twice_step"},
    "setup.kept_": {"changed", "renamed", "disabled", "holds", "self", "last_admin"},
    "section.": {"mine", "others", "still", "free", "done"},
    "shown.": {"signed_out", "loading", "unreachable", "empty"},
    "state.": {*STATES, "all", "removed"},
    "waiting.": {"given_up", "given_up_tried"},
    "status.": {"ops", "pubsub", "cli", "topology"},
    "status.role_": {"primary", "replica", "spare"},
}


def messages_of(name: str) -> list[tuple[str, str]]:
    text = (PACKAGE / "static" / "i18n" / f"{name}.json").read_text()
    found: list[tuple[str, str]] = json.loads(text, object_pairs_hook=list)
    assert found == sorted(found)
    return found


def catalog(language: str) -> dict[str, str]:
    """Both parts of a catalog, whose keys must be different ones."""
    pairs = messages_of(language) + messages_of(f"{language}.manage")
    assert len(pairs) == len(dict(pairs)), "a key stands twice"
    return dict(pairs)


ENGLISH = catalog("en")
ENGLISH_OF_ALL_PAGES = dict(messages_of("en"))
NAMESPACES = {key.partition(".")[0] for key in ENGLISH}


def placeholders(message: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", message))


def keys_in(path: Path) -> Iterator[str]:
    """The keys that a script or a template names as they are."""
    for key in re.findall(r"""['"]([a-z]+(?:\.[a-z_-]+)+)['"]""", path.read_text()):
        if key.partition(".")[0] in NAMESPACES and key not in EVENTS:
            yield key


def prefixes_in(path: Path) -> set[str]:
    """What stands before the computed end of a key."""
    return set(re.findall(r"\bt\(`([^`$]+)\$\{", path.read_text()))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_messages_with_the_same_places_for_values(
    language: str,
) -> None:
    messages = catalog(language)
    assert messages.keys() == ENGLISH.keys()
    for key, message in messages.items():
        assert message.strip(), key
        assert placeholders(message) == placeholders(ENGLISH[key]), key


@pytest.mark.parametrize("path", [*SCRIPTS, *TEMPLATES], ids=lambda path: path.name)
def test_every_message_that_a_page_asks_for_is_there(path: Path) -> None:
    for key in keys_in(path):
        assert key in ENGLISH or {f"{key}.one", f"{key}.other"} <= ENGLISH.keys(), key
    assert prefixes_in(path) <= COMPUTED.keys(), "a computed key that this test does not know"


@pytest.mark.parametrize("prefix", COMPUTED)
def test_every_computed_message_is_there(prefix: str) -> None:
    assert {f"{prefix}{end}" for end in COMPUTED[prefix]} <= ENGLISH.keys()


def test_every_refusal_that_can_be_met_is_said_in_the_pages_language() -> None:
    script = (PACKAGE / "static" / "js" / "refusal_text.js").read_text()
    said = re.search(r"const SAID = new Set\(\[(.*?)\]\)", script, re.DOTALL)
    assert said is not None
    plain = {"blocked_plain", "not_holder_plain"}
    assert set(re.findall(r"'(\w+)'", said[1])) == COMPUTED["refusal."] - plain


def needed_by(script: str, found: set[str]) -> set[str]:
    """A script and all modules that it imports, directly or not."""
    if script not in found:
        found.add(script)
        text = (PACKAGE / "static" / "js" / script).read_text()
        for each in re.findall(r"from '\./([\w.]+)'", text):
            needed_by(each, found)
    return found


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_page_names_no_message_of_the_part_that_it_does_not_load(path: Path) -> None:
    template = path.read_text()
    script = re.search(r'set script = "(\w+)"', template)
    if script is None or "has_manage_texts = true" in template:
        pytest.skip("it loads both parts, or is a part of a page")
    scripts = needed_by(f"{script[1]}.js", set())
    named = {
        key
        for each in [path, *(PACKAGE / "static" / "js" / name for name in scripts)]
        for key in keys_in(each)
    }
    named |= {f"{key}.{form}" for key in named for form in ("one", "other")}
    assert named & (ENGLISH.keys() - ENGLISH_OF_ALL_PAGES.keys()) == set()


def test_no_message_is_one_too_many() -> None:
    used = {key for path in (*SCRIPTS, *TEMPLATES) for key in keys_in(path)}
    used |= {f"{key}.{form}" for key in used for form in ("one", "other")}
    used |= {f"{prefix}{end}" for prefix, ends in COMPUTED.items() for end in ends}
    assert ENGLISH.keys() - used == set()


def test_spanish_says_the_three_words_of_the_shop_floor() -> None:
    spanish = catalog("es")
    words = [spanish[f"operation.{operation}"] for operation in ("take", "pause", "complete")]
    assert words == ["TOMAR", "PAUSAR", "COMPLETAR"]


@pytest.mark.parametrize(
    ("chosen", "accepted", "answered"),
    [
        (None, "", "en"),
        (None, "es", "es"),
        (None, "es-MX,es;q=0.9,en;q=0.8", "es"),
        (None, "ES-mx", "es"),
        (None, "en;q=0.3, es;q=0.8", "es"),
        (None, "de-DE,de;q=0.9,en;q=0.4,es;q=0.3", "en"),
        (None, "de,fr", "en"),
        (None, "es;q=0, en;q=0.1", "en"),
        (None, "es;q=0", "en"),
        (None, "*", "en"),
        (None, "es;q=broken", "en"),
        (None, ";;,,q=;es", "en"),
        ("es", "en", "es"),
        ("en", "es", "en"),
        ("klingon", "es", "es"),
        ("", "es", "es"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_browsers_preferred_one(
    chosen: str | None, accepted: str, answered: str
) -> None:
    assert choose(chosen, accepted) == answered
