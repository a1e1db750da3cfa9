// The stopped items of a board, by the reason of their stop. Pure.

import {fold} from './fold.js';

/**
 * The groups of blocked and paused items with one reason: [{state, reason, items}], blocked before paused,
 * the group with the oldest stop first; the items oldest first. A reason that differs in case or accents only
 * is one, as it was written first; without a reason it is null.
 */
export function stopsOf(items) {
  const groups = new Map();
  const stopped = items.filter(({state}) => state === 'blocked' || state === 'paused');
  stopped.sort((one, other) => one.state.localeCompare(other.state)
    || Date.parse(one.since) - Date.parse(other.since));
  for (const item of stopped) {
    const {state, reason} = item;
    const key = reason === null ? state : `${state} ${fold(reason.trim())}`;
    const group = groups.get(key);
    if (group) group.items.push(item);
    else groups.set(key, {state, reason, items: [item]});
  }
  return [...groups.values()];
}
