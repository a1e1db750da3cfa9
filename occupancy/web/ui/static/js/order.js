// Order: which items the list has, and where each stands, while the board changes. Pure.
//
// While somebody uses the list, rows keep their places whatever happens to their items: another
// state, out of the filter, removed. New items wait. The waiting changes are counted, and take effect
// with the next regrouping.

export class Order {
  constructor() {
    this.items = []; // as they stand
    this.places = new Map(); // tag → its rank when it was placed
    this.changes = 0; // items that a regrouping would move, add or drop
  }

  /** Puts every item where it belongs. */
  regroup(items, rankOf) {
    this.items = items;
    this.places = new Map(items.map((item) => [item.tag, rankOf(item)]));
    this.changes = 0;
    return this.items;
  }

  /** Leaves every item where it stands; `known` has the items as they are now, by tag. */
  keep(items, rankOf, known) {
    const wanted = new Map(items.map((item) => [item.tag, rankOf(item)]));
    this.items = this.items.map((item) => known.get(item.tag) ?? {...item, state: 'removed', holder: null});
    const isElsewhere = ([tag, rank]) => wanted.get(tag) !== rank;
    const come = items.filter((item) => !this.places.has(item.tag)).length;
    this.changes = [...this.places].filter(isElsewhere).length + come;
    return this.items;
  }
}
