// The model of a board: its items as the page knows them. It neither draws nor asks the server.

import {fold} from './fold.js';
import {OPERATIONS, transitionOf} from './transitions.js';

export const STATES = ['occupied', 'paused', 'available', 'blocked', 'completed'];

export class Model {
  constructor() {
    this.items = new Map();
    this.versionFloor = 0; // of the snapshot
    this.unheard = new Map(); // tag → version, from answers whose events have not come yet
    this.search = new Map(); // tag → the text that a search reads, folded
    this.listeners = new Set();
  }

  /** Calls `listener(tags)` after each change, with the tags that changed or null for all. */
  onChange(listener) {
    this.listeners.add(listener);
  }

  /**
   * Replaces all items by those of a snapshot. Every version counted since the last promotion of
   * another server is above `versionFloor`.
   */
  load(items, versionFloor = 0) {
    this.versionFloor = versionFloor;
    this.unheard.clear();
    this.items = new Map(items.map((item) => [item.tag, item]));
    this.search.clear();
    this.#tell(null);
  }

  /** Applies one event of the log, unless a newer version of its item is known. */
  apply(event) {
    const {item} = event;
    this.#hear(item);
    if (transitionOf(event)?.target === 'removed') {
      const known = this.items.get(item.tag);
      if (known && known.version <= item.version) this.#remove(item.tag);
    } else {
      this.put(item);
    }
  }

  /**
   * Notes the event of an answer. A server that has lost the operation counts its version again, for
   * another: then the answer was never true, and the event goes on from what was before it.
   */
  #hear(item) {
    const version = this.unheard.get(item.tag);
    if (version === undefined || version > item.version) return;
    this.unheard.delete(item.tag);
    const known = this.items.get(item.tag);
    if (known?.version === item.version && JSON.stringify(known) !== JSON.stringify(item)) {
      this.items.delete(item.tag);
    }
  }

  /** Puts the item of an answer, whose event is still to come. */
  putAnswer(item) {
    if (this.put(item)) this.unheard.set(item.tag, item.version);
  }

  /**
   * Puts an item from an answer or an event, unless a newer version is known. One that is not above
   * the floor is in the snapshot, or was lost: a process that did not know of the promotion yet may
   * still pass on the old server's answer. Answers whether it was put.
   */
  put(item) {
    if (item.version <= this.versionFloor) return false;
    const known = this.items.get(item.tag);
    if (known && known.version >= item.version) return false;
    this.items.set(item.tag, item);
    this.search.delete(item.tag);
    this.#tell([item.tag]);
    return true;
  }

  #remove(tag) {
    this.items.delete(tag);
    this.search.delete(tag);
    this.#tell([tag]);
  }

  #tell(tags) {
    for (const listener of this.listeners) listener(tags);
  }

  /** The tag of the item with this tag, or of the only one with it in another case; or null. */
  find(tag) {
    if (this.items.has(tag)) return tag;
    const small = tag.toLowerCase();
    const found = [...this.items.keys()].filter((each) => each.toLowerCase() === small);
    return found.length === 1 ? found[0] : null;
  }

  /** The number of items in each state. */
  counts() {
    const counts = Object.fromEntries(STATES.map((state) => [state, 0]));
    for (const item of this.items.values()) counts[item.state] += 1;
    return counts;
  }

  /**
   * The items that a filter shows, sorted: first those that `worker` holds, then by state in the
   * order of STATES, then by tag. `filter`: {state, step, mine, text}, all optional; 'mine' shows
   * all items of the worker, in any state and step.
   */
  select({state, step, mine, text} = {}, worker = null) {
    const words = fold(text ?? '').split(/\s+/).filter(Boolean);
    const found = [];
    for (const item of this.items.values()) {
      if (mine) {
        if (!worker || item.holder?.id !== worker) continue;
      } else if ((state && item.state !== state) || (step && item.step !== step)) {
        continue;
      }
      if (words.length > 0) {
        const looked = this.#searchText(item);
        if (!words.every((word) => looked.includes(word))) continue;
      }
      found.push(item);
    }
    const keyed = found.map((item) => [rankOf(item, worker), item]);
    keyed.sort(([a, one], [b, other]) => a - b || compare(one.tag, other.tag));
    return keyed.map(([, item]) => item);
  }

  /** The items that `worker` holds, the newest first. */
  heldBy(worker) {
    if (!worker) return [];
    const held = [...this.items.values()].filter((item) => item.holder?.id === worker);
    return held.sort((one, other) => compare(other.since, one.since) || compare(one.tag, other.tag));
  }

  #searchText(item) {
    let text = this.search.get(item.tag);
    if (text === undefined) {
      const attributes = Object.values(item.attributes ?? {}).join(' ');
      text = fold([item.tag, item.title, item.holder?.name, item.holder?.id, item.reason, attributes]
        .filter(Boolean).join(' '));
      this.search.set(item.tag, text);
    }
    return text;
  }
}

/** The rank of an item's group in the list for `worker`: their own items, then each state. */
export function rankOf(item, worker) {
  return worker && item.holder?.id === worker ? -1 : STATES.indexOf(item.state);
}

function compare(one, other) {
  return one < other ? -1 : one > other ? 1 : 0;
}

/**
 * The operations that the buttons of an item offer to `worker`; `may(role)` says whether they have
 * a role. `steps` are the board's, [] as long as they are unknown. 'removed' is a state of the page only,
 * from which no operation leads.
 */
export function offered(item, worker, may, steps = []) {
  const isHolder = item.state === 'occupied' && item.holder?.id === worker;
  return [...OPERATIONS.values()]
    .filter(({role, sources, holder_only, is_for_others, is_step_earlier}) => (
      sources.includes(item.state) && may(role) && (isHolder ? !is_for_others : !holder_only)
      && (!is_step_earlier || steps.indexOf(item.step) > 0)))
    .map(({operation}) => operation);
}
