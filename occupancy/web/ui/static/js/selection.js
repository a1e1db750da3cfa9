// The selection: the items of a board that a view shows, in its order and its groups. Pure.
//
// Of thousands of items an event changes one. So the order is kept, and the changed item moves from its place to
// its new one; a filter only passes over the ordered items. Nothing but another order sorts.

import {fold} from './fold.js';
import {compare} from './model.js';
import {inOrder, valueBy} from './sorting.js';

const MOST_MOVED = 100; // beyond this, sorting all is faster

export class Selection {
  constructor(model) {
    this.model = model;
    this.entries = new Map(); // tag → {tag, item, group, key, isShown}; but for isShown they never change
    this.sorted = []; // all of them, in order
    this.order = null; // what they are sorted by
    this.shown = []; // those that the filter shows
    this.groups = []; // [{value, start, count, item}] of `shown`, `item` being the first
  }

  /**
   * Uses a view: {state, step, mine, text, sort, isReversed, group}. 'mine' shows all items of the worker, in any
   * state and step. `reader` is {worker, steps}: who reads, and the board's steps.
   */
  use(view, reader) {
    const {sort = 'state', isReversed = false, group = 'none'} = view;
    const order = JSON.stringify([sort, isReversed, group, reader]);
    this.isShown = filterOf(view, reader.worker, this.model);
    if (order === this.order) {
      for (const entry of this.sorted) entry.isShown = this.isShown(entry.item);
      this.#collect();
      return;
    }
    this.order = order;
    const groupOf = valueBy(group, reader);
    const keyOf = valueBy(sort, reader);
    this.entryOf = (item) => ({
      tag: item.tag, item, group: groupOf(item), key: keyOf(item), isShown: this.isShown(item)});
    this.compare = (one, other) => inOrder(one.group, other.group) || inOrder(one.key, other.key, isReversed)
      || compare(one.tag, other.tag);
    this.#sort();
  }

  /** Another snapshot has come: the next use of a view begins anew. */
  forget() {
    this.order = null;
  }

  /** Follows the model; `tags` are of the items that have changed. */
  change(tags) {
    if (tags.size > MOST_MOVED) {
      this.#sort();
      return;
    }
    let isSeen = false;
    for (const tag of tags) {
      const before = this.entries.get(tag);
      const item = this.model.items.get(tag);
      if (before) this.sorted.splice(this.#placeOf(before), 1);
      if (item) {
        const entry = this.entryOf(item);
        this.sorted.splice(this.#placeOf(entry), 0, entry);
        this.entries.set(tag, entry);
        isSeen ||= entry.isShown;
      } else {
        this.entries.delete(tag);
      }
      isSeen ||= Boolean(before?.isShown);
    }
    if (isSeen) this.#collect();
  }

  /** The entry of an item that is shown, or undefined. */
  get(tag) {
    const entry = this.entries.get(tag);
    return entry?.isShown ? entry : undefined;
  }

  #sort() {
    this.sorted = Array.from(this.model.items.values(), this.entryOf).sort(this.compare);
    this.entries = new Map(this.sorted.map((entry) => [entry.tag, entry]));
    this.#collect();
  }

  /** The index at which an entry is, or belongs. */
  #placeOf(entry) {
    let low = 0;
    let high = this.sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.compare(this.sorted[middle], entry) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #collect() {
    const shown = [];
    const groups = [];
    let group = null;
    for (const entry of this.sorted) {
      if (!entry.isShown) continue;
      if (group?.value !== entry.group || group === null) {
        group = {value: entry.group, start: shown.length, count: 0, item: entry.item};
        groups.push(group);
      }
      group.count += 1;
      shown.push(entry);
    }
    this.shown = shown;
    this.groups = groups;
  }
}

/** A function that says whether the filter of a view shows an item. */
function filterOf({state, step, mine, text}, worker, model) {
  // All words must occur; the API's `q` splits and folds alike (boards/search.py).
  const words = fold(text ?? '').split(/\s+/).filter(Boolean);
  return (item) => {
    if (mine) {
      if (!worker || item.holder?.id !== worker) return false;
    } else if ((state && item.state !== state) || (step && item.step !== step)) {
      return false;
    }
    if (words.length === 0) return true;
    const looked = model.textOf(item);
    return words.every((word) => looked.includes(word));
  };
}
