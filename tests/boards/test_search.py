"""Search in the API: it finds what the pages' own search finds, by the same table."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from occupancy.boards.commands import Command
from occupancy.boards.search import Search
from occupancy.core.entities import Person
from occupancy.core.transitions import PUT, TRANSITIONS
from occupancy.services import Services

TABLE = json.loads(Path(__file__).with_name("search.json").read_text())


def item(fields: dict[str, Any]) -> dict[str, Any]:
    blank = {"tag": "T-1", "title": "", "state": "available", "step": "work", "holder": None}
    return {**blank, "reason": None, "attributes": {}, **fields}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: ascii(row["text"]))
def test_a_text_finds_what_the_page_finds(row: dict[str, Any]) -> None:
    found = item(row["item"])
    assert Search(row["text"]).finds(msgspec.json.encode(found)) == row["found"]
    escaped = json.dumps(found).replace("/", "\\/")  # as other encoders have it
    assert Search(row["text"]).finds(escaped.encode()) == row["found"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_the_store_finds_a_title_and_a_holder_in_whichever_form_they_are_stored(
    services: Services, form: Literal["NFC", "NFD"]
) -> None:
    def texts(**fields: Any) -> dict[str, str]:
        return {name: json.dumps(value, ensure_ascii=False) for name, value in fields.items()}

    store, boss = services.store, Person("boss", "Boss")
    title = unicodedata.normalize("NFD", "Señal / Ångström")
    items = [texts(title=title, attributes={"zona": "Almacén"}), {}]
    store.commands.execute(Command("main", PUT, ["T-1", "T-2"], actor=boss, items=items))
    holder = Person("93", unicodedata.normalize("NFC", "Íñigo Peña"))
    store.commands.execute(Command("main", TRANSITIONS["take"], ["T-2"], actor=holder))

    def tags(text: str) -> list[str]:
        snapshot = store.queries.snapshot("main", text=unicodedata.normalize(form, text))
        assert snapshot is not None
        return [msgspec.json.decode(each)["tag"] for each in snapshot.items]

    assert tags("SEÑAL ångström") == tags("angstrom / senal") == ["T-1"]
    assert tags("Peña") == tags("pena inigo") == ["T-2"]
    assert tags("señal pena") == tags("almacén") == []
