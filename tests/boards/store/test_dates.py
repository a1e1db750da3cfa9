"""The dates that the script writes."""

from __future__ import annotations

import json
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from occupancy.services import Services
from tests.boards.store.changes import add

LUA = Path(__file__).parents[3] / "occupancy" / "storage" / "lua" / "board"


def test_the_dates_that_the_script_writes_are_right(valkey_services: Services) -> None:
    source = (LUA / "operate" / "request.lua").read_text()
    found = re.search(r"^local function iso\(ms\).*?^end$", source, re.DOTALL | re.MULTILINE)
    assert found is not None
    script = found.group() + (
        "\nlocal dates = {} for index, ms in ipairs(ARGV) do dates[index] = iso(tonumber(ms)) end"
        "\nreturn dates"
    )
    dice = random.Random(3)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    days = [
        datetime(year, month, day, tzinfo=UTC)
        for year in (1970, 1972, 1999, 2000, 2024, 2026, 2100, 2400, 9999)
        for month, day in ((1, 1), (2, 28), (3, 1), (12, 31))
    ] + [datetime(year, 2, 29, tzinfo=UTC) for year in (1972, 2000, 2024, 2028, 2400)]
    moments = [(day - epoch) // timedelta(milliseconds=1) for day in days]
    moments += [moment + offset for moment in moments for offset in (-1, 86_399_999) if moment]
    moments += [dice.randrange(253_402_300_800_000) for _ in range(3000)]
    moments = [moment for moment in moments if moment < 253_402_300_800_000]
    dates: Any = valkey_services.store.client.execute_command("EVAL", script, 0, *moments)
    for moment, date in zip(moments, dates, strict=True):
        expected = (epoch + timedelta(milliseconds=moment)).isoformat(timespec="milliseconds")
        assert date.decode() == expected.replace("+00:00", "Z"), moment


def test_the_date_of_an_event_is_that_of_its_entry(real_services: Services) -> None:
    cursor = add(real_services.store, "A").cursor
    entry = real_services.store.log.replay("main", "0-0", 1).entries[0]
    event = json.loads(entry.event)
    written = datetime.fromtimestamp(int(cursor.partition("-")[0]) / 1000, tz=UTC)
    assert abs(datetime.fromisoformat(event["at"]) - written) < timedelta(seconds=1)
    assert event["item"]["since"] == event["at"]
