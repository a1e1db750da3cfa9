// The model of a board: its items as the page knows them. Pure: no document, no network.

export const STATES = ['occupied', 'paused', 'available', 'blocked', 'completed'];

export class Model {
  constructor() {
    this.items = new Map();
    this.search = new Map(); // tag → its searchable text, in lower case
    this.listeners = new Set();
  }

  /** Calls `listener(tags)` after each change, with the tags that changed or null for all. */
  onChange(listener) {
    this.listeners.add(listener);
  }

  /** Replaces all items by those of a snapshot. */
  load(items) {
    this.items = new Map(items.map((item) => [item.tag, item]));
    this.search.clear();
    this.#tell(null);
  }

  /** Takes one event of the log. An item known in a newer version stays as it is. */
  apply(event) {
    const {item} = event;
    if (event.type === 'item.removed') {
      const known = this.items.get(item.tag);
      if (known && known.version <= item.version) this.#remove(item.tag);
    } else {
      this.put(item);
    }
  }

  /** Takes the item of a response or an event, unless a newer version is known. */
  put(item) {
    const known = this.items.get(item.tag);
    if (known && known.version >= item.version) return;
    this.items.set(item.tag, item);
    this.search.delete(item.tag);
    this.#tell([item.tag]);
  }

  #remove(tag) {
    this.items.delete(tag);
    this.search.delete(tag);
    this.#tell([tag]);
  }

  #tell(tags) {
    for (const listener of this.listeners) listener(tags);
  }

  /** The tag of the item with that spelling, or of the only one that differs in case; or null. */
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
   * The items of a filter, sorted: first those that `worker` holds, then by state in the order of
   * STATES, then by tag. `filter`: {state, step, mine, text}, each may be missing; 'mine' selects all
   * items of `worker`, in any state and step.
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

  /** The items that `worker` holds, newest first. */
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

/** The group of an item in the list, for `worker`: their own items, then one group per state. */
export function rankOf(item, worker) {
  return worker && item.holder?.id === worker ? -1 : STATES.indexOf(item.state);
}

function compare(one, other) {
  return one < other ? -1 : one > other ? 1 : 0;
}

/**
 * Lower case without accents: 'senal' finds 'Señal'. The API's `q` does the same
 * (occupancy/boards/search.py). A sigma has another form at the end of a word.
 */
export function fold(text) {
  return text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase().replaceAll('ς', 'σ');
}

/** The operations that the buttons offer on an item to a worker of a role. */
export function offered(item, worker, isSupervisor) {
  const isHolder = item.state === 'occupied' && item.holder?.id === worker;
  const own = isHolder ? ['pause', 'complete', 'release']
    : ['available', 'paused'].includes(item.state) ? ['take'] : [];
  if (!isSupervisor) return own;
  const more = {
    available: ['reassign', 'block'],
    paused: ['reassign', 'block'],
    occupied: isHolder ? ['reassign', 'block'] : ['force-release', 'reassign', 'block'],
    blocked: ['unblock'],
    completed: ['reopen'],
  };
  return [...own, ...(more[item.state] ?? [])]; // 'removed' is a state of the page only
}
