// Work times from an item's history, by step and worker. Pure.

const STARTS = new Set(['item.taken', 'item.reassigned']);

/**
 * Totals by step and worker, longest first, from events newest first. As on the server, a release
 * takes back all work since the item was last free, of all its holders. Work that is under way counts
 * up to `nowMs`.
 */
export function workOf(events, nowMs) {
  const totals = new Map();
  let open = null; // {step, worker, sinceMs}
  let handedOn = []; // work since the item was last free, by earlier holders
  const end = (atMs, isRunning = false) => {
    handedOn.push({...open, seconds: Math.max(0, atMs - open.sinceMs) / 1000, isRunning});
    open = null;
  };
  const count = ({step, worker, seconds, isRunning}) => {
    const key = `${step}\n${worker.id}`;
    const known = totals.get(key) ?? {step, worker: worker.name, seconds: 0, isRunning: false};
    known.seconds += seconds;
    known.isRunning ||= isRunning;
    totals.set(key, known);
  };
  for (const event of [...events].reverse()) {
    const atMs = Date.parse(event.at);
    const wasHeld = open !== null;
    if (wasHeld && event.item.state !== 'occupied') {
      end(atMs);
      if (event.type !== 'item.released') handedOn.forEach(count);
      handedOn = [];
    } else if (wasHeld && event.type === 'item.reassigned') {
      end(atMs);
    }
    if (STARTS.has(event.type) && event.item.holder) {
      open = {step: event.item.step, worker: event.item.holder, sinceMs: atMs};
    }
  }
  if (open) end(nowMs, true);
  handedOn.forEach(count);
  return [...totals.values()].sort((one, other) => other.seconds - one.seconds);
}

/** Seconds worked at the present step by the server's rules, including work under way. */
export function workedNow(item, nowMs) {
  const running = item.state === 'occupied' ? Math.max(0, nowMs - Date.parse(item.since)) / 1000 : 0;
  return item.worked_s + running;
}
