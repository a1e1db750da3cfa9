// Reasons to tap: those of the board's settings, those that its items have now, and those that were typed
// on this device.

import {recallJson, remember} from './memory.js';
import {OPERATIONS} from './transitions.js';

const STORED = 'occupancy-reasons';
const MOST_STORED = 8;
const MOST_RECENT = 8; // offered besides the board's own

/** The reasons to offer for an operation: the board's in its order, then recent ones, the most frequent first. */
export function reasonsFor(operation, {ofBoard = [], items = []}) {
  const {target} = OPERATIONS.get(operation);
  const state = target === 'sent_back' ? 'available' : target;
  const counts = new Map();
  for (const item of items) {
    if (item.reason && item.state === state) counts.set(item.reason, (counts.get(item.reason) ?? 0) + 1);
  }
  const onBoard = [...counts].sort(([, one], [, other]) => other - one).map(([reason]) => reason);
  const recent = new Set([...stored(operation), ...onBoard]);
  for (const each of ofBoard) recent.delete(each);
  return [...ofBoard, ...[...recent].slice(0, MOST_RECENT)];
}

export function rememberReason(operation, reason) {
  const list = [reason, ...stored(operation).filter((each) => each !== reason)].slice(0, MOST_STORED);
  remember('localStorage', STORED, JSON.stringify({...recallJson('localStorage', STORED), [operation]: list}));
}

function stored(operation) {
  return recallJson('localStorage', STORED)?.[operation] ?? [];
}
