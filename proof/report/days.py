"""The part about a day's work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from proof.report import texts

_SHOWN_DAYS = 2


def days(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    sound = [each for each in rows if not each["void"]]
    if not sound:
        return
    yield texts.DAY.format(acceleration=sound[-1]["acceleration"])
    for row in sound[-_SHOWN_DAYS:]:
        done, warm_up = row["figures"], row["warm_up_days"]
        yield (
            f"### {row['server'].title()}, seed {row['seed']}\n\n"
            f"{done['hours']:.0f} hours after {warm_up} warm-up day{'s' * (warm_up != 1)}, in "
            f"{row['took_s'] / 60:.0f} minutes: "
            f"{_done(done, 'operations')} operations, {_done(done, 'sign-ins')} sign-ins, "
            f"{_done(done, 'sign-outs')} sign-outs, {_done(done, 'streams')} streams, "
            f"{_done(done, 'deliveries')} deliveries, {_done(done, 'snapshots')} snapshots, "
            f"{_done(done, 'reports')} reports, {_done(done, 'imports')} imports."
        )
        yield ""
        yield "| memory | day | first hour | last hour | KiB an hour | interval | verdict |"
        yield "|---|--:|--:|--:|--:|--:|---|"
        for each in row["memory"]:
            verdict = "by design" if each["by_design"] else "grows" if each["grows"] else "flat"
            for number, day in enumerate(each["days"], 1):
                yield (
                    f"| {each['name']} | {number} | {day['first_kib']:,} | {day['last_kib']:,} | "
                    f"{day['per_hour_kib']:+.1f} | {day['low']:+.1f} to {day['high']:+.1f} | "
                    f"{verdict} |"
                )
        yield ""


def _done(done: dict[str, Any], name: str) -> str:
    return f"{done.get(name, 0):,}"
