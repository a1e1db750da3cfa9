// Work time from an item's history: who occupied it at which step, and for how long. Pure.

const STARTS = new Set(['item.taken', 'item.reassigned']);

/**
 * Totals by step and worker, the longest first, from events newest first. A release takes its
 * work back; work that is under way counts up to `nowMs`.
 */
export function workOf(events, nowMs) {
  const totals = new Map();
  let open = null; // {step, worker, sinceMs}
  const add = (seconds, isRunning) => {
    const key = `${open.step}\n${open.worker.id}`;
    const known = totals.get(key) ?? {step: open.step, worker: open.worker.name, seconds: 0, isRunning: false};
    known.seconds += seconds;
    known.isRunning ||= isRunning;
    totals.set(key, known);
  };
  for (const event of [...events].reverse()) {
    const atMs = Date.parse(event.at);
    const wasHeld = open !== null;
    if (wasHeld && event.item.state !== 'occupied') {
      if (event.type !== 'item.released') add((atMs - open.sinceMs) / 1000, false);
      open = null;
    } else if (wasHeld && event.type === 'item.reassigned') {
      add((atMs - open.sinceMs) / 1000, false);
      open = null;
    }
    if (STARTS.has(event.type) && event.item.holder) {
      open = {step: event.item.step, worker: event.item.holder, sinceMs: atMs};
    }
  }
  if (open) add((nowMs - open.sinceMs) / 1000, true);
  return [...totals.values()].sort((one, other) => other.seconds - one.seconds);
}
