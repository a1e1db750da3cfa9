// Work time from an item's history: by step and worker. Pure.

import {transitionOf} from './transitions.js';

/**
 * Totals by step and worker, the longest first, from events newest first. As on the server, a
 * release takes back all work since the item was last free, also that of others; an undo takes back
 * the end of the work, which goes on as if it had never ended; running work counts up to `nowMs`.
 */
export function workOf(events, nowMs) {
  const totals = new Map();
  let open = null; // {step, worker, sinceMs}
  let handedOn = []; // work of former holders since the item was last free
  const end = (atMs, isRunning = false) => {
    handedOn.push({...open, seconds: Math.max(0, atMs - open.sinceMs) / 1000, isRunning});
    open = null;
  };
  let completed = null; // {open, handedOn} before a completion, which may yet be undone
  const count = ({step, worker, seconds, isRunning}) => {
    const key = `${step}\n${worker.id}`;
    const known = totals.get(key) ?? {step, worker: worker.name, seconds: 0, isRunning: false};
    known.seconds += seconds;
    known.isRunning ||= isRunning;
    totals.set(key, known);
  };
  const countCompleted = () => {
    ({open, handedOn} = completed);
    end(completed.atMs);
    handedOn.forEach(count);
    [completed, handedOn] = [null, []];
  };
  for (const event of [...events].reverse()) {
    const atMs = Date.parse(event.at);
    const wasHeld = open !== null;
    const transition = transitionOf(event);
    const isStart = transition?.target === 'occupied';
    if (transition?.target === 'undone') {
      // Without the completion, which may be in the part that is not loaded: the hold's own start.
      const {step, holder: worker, since} = event.item;
      ({open, handedOn} = completed ?? {open: {step, worker, sinceMs: Date.parse(since)}, handedOn: []});
      completed = null;
      continue;
    }
    if (completed) countCompleted();
    if (transition?.target === 'advance' && wasHeld) {
      completed = {open, handedOn: [...handedOn], atMs};
      [open, handedOn] = [null, []];
      continue;
    }
    if (wasHeld && event.item.state !== 'occupied') {
      end(atMs);
      if (transition?.counts_time ?? true) handedOn.forEach(count);
      handedOn = [];
    } else if (wasHeld && isStart) {
      end(atMs);
    }
    if (isStart && event.item.holder) {
      open = {step: event.item.step, worker: event.item.holder, sinceMs: atMs};
    }
  }
  if (completed) countCompleted();
  if (open) end(nowMs, true);
  handedOn.forEach(count);
  return [...totals.values()].sort((one, other) => other.seconds - one.seconds);
}

/** Seconds worked at the present step as the server counts them, with the running work. */
export function workedNow(item, nowMs) {
  const running = item.state === 'occupied' ? Math.max(0, nowMs - Date.parse(item.since)) / 1000 : 0;
  return item.worked_s + running;
}
