// The model of a board: its items as the page knows them. It neither draws nor asks the server.

import {fold} from './fold.js';
import {OPERATIONS, transitionOf} from './transitions.js';

export const STATES = ['occupied', 'paused', 'available', 'blocked', 'completed'];

const NONE_OF_EACH = Object.fromEntries(STATES.map((state) => [state, 0]));

export class Model {
  constructor() {
    this.items = new Map();
    this.tally = {...NONE_OF_EACH}; // the number of items in each state
    this.held = new Map(); // worker → the tags that they hold
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
    this.items.clear();
    this.tally = {...NONE_OF_EACH};
    this.held.clear();
    for (const item of items) this.#set(item);
    this.search.clear();
    this.unread = null;
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
      this.#delete(item.tag);
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
    this.#set(item);
    this.search.delete(item.tag);
    this.#tell([item.tag]);
    return true;
  }

  #remove(tag) {
    this.#delete(tag);
    this.search.delete(tag);
    this.#tell([tag]);
  }

  #set(item) {
    this.#uncount(item.tag);
    this.items.set(item.tag, item);
    this.tally[item.state] += 1;
    if (!item.holder) return;
    const {id} = item.holder;
    if (!this.held.has(id)) this.held.set(id, new Set());
    this.held.get(id).add(item.tag);
  }

  #delete(tag) {
    this.#uncount(tag);
    this.items.delete(tag);
  }

  #uncount(tag) {
    const known = this.items.get(tag);
    if (!known) return;
    this.tally[known.state] -= 1;
    this.held.get(known.holder?.id)?.delete(tag);
  }

  #tell(tags) {
    for (const listener of this.listeners) listener(tags);
  }

  /** The tag of the item with this tag, or of the only one with it in another case; or null. */
  find(tag) {
    if (this.items.has(tag)) return tag;
    const small = tag.toLowerCase();
    const found = [];
    for (const each of this.items.keys()) { // a tag is ASCII: in another case it is as long
      if (each.length === tag.length && each.toLowerCase() === small) found.push(each);
    }
    return found.length === 1 ? found[0] : null;
  }

  counts() {
    return {...this.tally};
  }

  /** The items that `worker` holds, the newest first. */
  heldBy(worker) {
    return Array.from(this.held.get(worker) ?? [], (tag) => this.items.get(tag))
      .sort((one, other) => compare(other.since, one.since) || compare(one.tag, other.tag));
  }

  /**
   * Prepares the next items for a search, so that its first letter need not wait for all of them. Answers whether
   * there are more.
   */
  prepareSearch(count) {
    this.unread ??= this.items.values();
    for (let done = 0; done < count; done += 1) {
      const {value, done: isOver} = this.unread.next();
      if (isOver) return false;
      this.textOf(value);
    }
    return true;
  }

  /** What a search reads of an item, folded. */
  textOf(item) {
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

/** For a sort: texts and numbers, the small ones first. */
export function compare(one, other) {
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
