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
    const shown = [...this.shown]; // others keep the one before
    let isSeen = false;
    for (const tag of tags) {
      const before = this.entries.get(tag);
      const item = this.model.items.get(tag);
      if (before) this.#takeOut(before, shown);
      if (item) {
        const entry = this.entryOf(item);
        this.#putIn(entry, shown);
        this.entries.set(tag, entry);
        isSeen ||= entry.isShown;
      } else {
        this.entries.delete(tag);
      }
      isSeen ||= Boolean(before?.isShown);
    }
    if (!isSeen) return;
    this.shown = shown;
    this.groups = groupsOf(shown);
  }

  #takeOut(entry, shown) {
    this.sorted.splice(this.#placeIn(this.sorted, entry), 1);
    if (entry.isShown) shown.splice(this.#placeIn(shown, entry), 1);
  }

  #putIn(entry, shown) {
    this.sorted.splice(this.#placeIn(this.sorted, entry), 0, entry);
    if (entry.isShown) shown.splice(this.#placeIn(shown, entry), 0, entry);
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

  #placeIn(entries, entry) {
    return firstIndex(entries, 0, (each) => this.compare(each, entry) >= 0);
  }

  #collect() {
    this.shown = this.sorted.filter(({isShown}) => isShown);
    this.groups = groupsOf(this.shown);
  }
}

function groupsOf(entries) {
  const groups = [];
  for (let start = 0; start < entries.length;) {
    const {group, item} = entries[start];
    const end = firstIndex(entries, start, (each) => each.group !== group);
    groups.push({value: group, start, count: end - start, item});
    start = end;
  }
  return groups;
}

/** The index from `low` on of the first entry for which a condition holds that holds for all after it, too. */
function firstIndex(entries, low, isThere) {
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isThere(entries[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
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
