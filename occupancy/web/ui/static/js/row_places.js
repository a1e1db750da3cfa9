// The places of a virtual list's rows, in px from its top: all rows are of one height, and all headings of another, so
// a place is computed without a search. Pure.

export class RowPlaces {
  constructor() {
    this.total = 0;
    this.groups = []; // with a heading each, by the index at which they start
    this.measure({row: 0, heading: 0});
  }

  measure({row, heading}) {
    this.rowHeight = row;
    this.headingHeight = heading;
  }

  hold(total, groups) {
    this.total = total;
    this.groups = groups;
  }

  /** The number of groups that begin at or before an index. */
  groupsTo(index) {
    let low = 0;
    let high = this.groups.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.groups[middle].start <= index) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  of(index) {
    return index * this.rowHeight + this.groupsTo(index) * this.headingHeight;
  }

  /** The index of the first row that ends below a place. */
  indexAt(place) {
    let low = 0;
    let high = this.total;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.of(middle) + this.rowHeight <= place) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  get height() {
    return this.total === 0 ? 0 : this.of(this.total - 1) + this.rowHeight;
  }

  /** How far most of `items` have moved since those whose keys are in `before` had the places that it has. */
  shiftSince(before, items, keyOf) {
    if (before.size === 0) return 0;
    const shifts = [];
    items.forEach((item, index) => {
      const place = before.get(keyOf(item));
      if (place !== undefined) shifts.push(this.of(index) - place);
    });
    return shifts.sort((one, other) => one - other)[shifts.length >> 1] ?? 0;
  }
}
