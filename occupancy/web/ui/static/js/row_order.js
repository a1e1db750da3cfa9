// The order of the list's rows while the board changes. Pure.
//
// While somebody uses the list, rows keep their places whatever happens to their items: a new state, a
// filter that excludes them, removal. New items wait. The waiting changes are counted, and take effect
// at the next regrouping.

export class RowOrder {
  constructor() {
    this.items = []; // in the present order
    this.places = new Map(); // tag → its rank when it was placed
    this.changes = 0; // items that a regrouping would move, add or drop
  }

  /** Puts every item in its right place. */
  regroup(items, rankOf) {
    this.items = items;
    this.places = new Map(items.map((item) => [item.tag, rankOf(item)]));
    this.changes = 0;
    return this.items;
  }

  /** Keeps every item in its place; `known` has the current items by tag. */
  keep(items, rankOf, known) {
    const wanted = new Map(items.map((item) => [item.tag, rankOf(item)]));
    this.items = this.items.map((item) => known.get(item.tag) ?? {...item, state: 'removed', holder: null});
    const isElsewhere = ([tag, rank]) => wanted.get(tag) !== rank;
    const come = items.filter((item) => !this.places.has(item.tag)).length;
    this.changes = [...this.places].filter(isElsewhere).length + come;
    return this.items;
  }
}
