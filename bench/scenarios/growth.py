"""Growth: the cost of a take on small and huge boards, and of an event to few and many streams.

The first should not grow at all, the second in proportion. A board of a million items is not added
item by item: one item is, and a script copies everything it consists of, with log and history.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from bench.figures import PRODUCT, Rows, figure
from bench.meter import Meter, settle
from bench.product import Product
from bench.runner import Runner
from bench.scenario import Column, Ratio, Scenario, Target, Value
from bench.scenarios import fan_out
from bench.scenarios.operations import pairs

_ITEMS, _FEW_ITEMS = (100, 10_000, 1_000_000), (100, 1_000, 10_000)
_STREAMS, _FEW_STREAMS = (10, 100, 1_000, 10_000), (10, 30, 100, 300)
_RATE_PER_S = 10.0
_COPIED_AT_ONCE = 1000
_NO_LOG = ("--appendonly", "no")  # else a million items would be written to it first

# Copies the item ARGV[1] to the tags numbered from ARGV[2] to ARGV[3]. The new tag replaces the old
# one everywhere, and each event gets its own number. KEYS[1] is the root of the board's keys.
_COPY = """
local root, tag = KEYS[1], ARGV[1]
local function pieces(text)
  local found, from = {}, 1
  while true do
    local first, last = string.find(text, tag, from, true)
    found[#found + 1] = string.sub(text, from, (first or 0) - 1)
    if not first then return found end
    from = last + 1
  end
end
local item, own = redis.call('HGETALL', root .. ':item:' .. tag), {}
for index = 1, #item, 2 do
  local found = pieces(item[index + 1])
  if found[2] then own[#own + 1] = { item[index], found } end
end
local view = pieces(redis.call('HGET', root .. ':view', tag))
local state = redis.call('HGET', root .. ':item:' .. tag, 'state')
local event = redis.call('XRANGE', root .. ':history:' .. tag, '-', '+')[1][2][2]
event = pieces(string.sub(event, string.find(event, ',', 1, true), -1))
local seq, cursor = tonumber(redis.call('HGET', root .. ':board', 'seq'))
for number = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  local new = string.format('SPOOL-%05d', number)
  redis.call('COPY', root .. ':item:' .. tag, root .. ':item:' .. new)
  for _, field in ipairs(own) do
    redis.call('HSET', root .. ':item:' .. new, field[1], table.concat(field[2], new))
  end
  seq = seq + 1
  local text = string.format('{"seq":%d', seq) .. table.concat(event, new)
  redis.call('HSET', root .. ':view', new, table.concat(view, new))
  redis.call('ZADD', root .. ':by_tag', 0, new)
  redis.call('ZADD', root .. ':by_state', 0, state .. '|' .. new)
  redis.call('XADD', root .. ':history:' .. new, '*', 'event', text)
  cursor = redis.call('XADD', root .. ':log', 'MAXLEN', '~', ARGV[4], '*', 'seq', seq,
    'event', text)
end
redis.call('HSET', root .. ':board', 'seq', string.format('%.0f', seq), 'cursor', cursor)
"""


def grow(peer: Product, items: int) -> None:
    """Copy the item of a board until it has that many. Raises RuntimeError if the copy fails."""
    (tag,) = peer.tags
    with peer.valkey.client() as client:
        copy = client.register_script(_COPY)
        for first in range(1, items, _COPIED_AT_ONCE):
            last = min(first + _COPIED_AT_ONCE, items) - 1
            copy(keys=[peer.keys.root], args=[tag, first, last, peer.settings.log_entries])
        if client.zcard(peer.keys.by_tag) != items:
            raise RuntimeError(f"the board did not get its {items} items")
    step = max(1, items // 100)
    peer.tags = [f"SPOOL-{number:05d}" for number in range(0, items, step)]


def _measure(runner: Runner) -> Rows:
    def take(peer: Product, items: int) -> dict[str, Any]:
        grow(peer, items)
        peer.serve(processes=1)
        settle(peer)  # the check at the start takes longer on a large board
        meter = Meter(peer)
        figures = runner.generator.requests(
            peer.port, [pairs(peer, peer.tags)],
            warm_up_s=runner.pick(0.5, 0.1), duration_s=runner.pick(3.0, 0.4),
        )  # fmt: skip
        used = meter.read(figures["generator_cpu_s"])
        return {"items": items, **figures, **used.per(figures["answers"], "operation")}

    def events(peer: Product, counts: dict[str, int]) -> dict[str, dict[str, Any]]:
        duration_s = runner.pick(4.0, 0.5)
        return {
            name: fan_out.measure(
                runner, peer, streams=streams, rate_per_s=_RATE_PER_S, duration_s=duration_s
            )
            for name, streams in counts.items()
        }

    rows = {}
    start = runner.start(PRODUCT, items=1, is_served=False, valkey_options=_NO_LOG)
    for number, items in enumerate(runner.pick(_ITEMS, _FEW_ITEMS)):
        rows[SIZES[number]] = runner.row(SIZES[number], start, partial(take, items=items))
    counts = dict(zip(STREAMS, runner.pick(_STREAMS, _FEW_STREAMS), strict=True))
    # Each of a full run has a fresh process; those of a short run share one.
    for group in runner.pick([{name: count} for name, count in counts.items()], [counts]):
        rows |= runner.rows(next(iter(group)), runner.start(PRODUCT), partial(events, counts=group))
    return rows


SIZES = [f"{PRODUCT}, {items:,} items" for items in _ITEMS]
STREAMS = [f"{PRODUCT}, {streams:,} streams" for streams in _STREAMS]


def _steepest(key: str) -> Value:
    """The largest growth from the smallest board to another."""

    def compare(rows: Rows) -> float | None:
        known = [figure(rows, name, key) for name in SIZES]
        first, *others = known
        if not first or any(each is None for each in others):
            return None
        return max(each for each in others if each is not None) / first

    return compare


GROWTH = Scenario(
    "growth",
    "a take (at 1 connection) on boards of 100 to 1,000,000 items, and an event to 10 to 10,000 "
    "streams",
    _measure,
    (
        Column("CPU µs/take", "cpu_us_per_operation", "{:.0f}"),
        Column("server", "server_us_per_operation", "{:.0f}"),
        Column("store", "store_us_per_operation", "{:.0f}"),
        Column("take p50 ms", "p50_ms", "{:.2f}"),
        Column("CPU µs/event", "cpu_us_per_event", "{:,.0f}"),
        Column("per delivery", "cpu_us_per_delivery", "{:.2f}"),
        Column("generator", "generator_utilisation", "{:.0%}"),
        Column("others", "other_cores", "{:.0%}"),
    ),
    (
        Target("CPU of a take, to the smallest board's", _steepest("cpu_us_per_operation"), 1.25),
        Target("p50 of a take, to the smallest board's", _steepest("p50_ms"), 1.25),
        Target(
            "CPU per stream at 10,000, to that at 1,000",
            Ratio("cpu_us_per_delivery", STREAMS[2], of=STREAMS[3]), 1.25,
        ),
    ),
)  # fmt: skip
