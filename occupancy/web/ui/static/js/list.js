// A virtual list: only the visible rows are in the document, so 5,000 items are as fast as 20.
//
// Rows are kept by key and moved, so that a touch, the focus and a screen reader's position survive a change of the
// list.

import {setStyle} from './dom.js';
import {ListViewport} from './list_viewport.js';
import {putInOrder} from './put_in_order.js';
import {RowPlaces} from './row_places.js';
import {ignoreTaps} from './tap_filter.js';

const SPARE_ROWS = 6;

export class List {
  /**
   * `look` draws: `row()` and `heading()` make elements, `render(item, row)` and `title(group, heading)` fill or
   * refresh them, and `number(row, index, total)` says to screen readers where a row is. `keyOf(item)` is the key of
   * an item: its tag, if the look has no other. `scroller` is the element that scrolls the list, or null for the page.
   */
  constructor(container, look, {scroller = null} = {}) {
    Object.assign(this, {container, look});
    this.keyOf = look.keyOf ?? (({tag}) => tag);
    this.places = new RowPlaces();
    this.items = [];
    this.groups = []; // with a heading each
    this.rows = new Map();
    this.headings = new Map();
    this.isHidden = false;
    this.viewport = new ListViewport(container, scroller, {onMove: () => this.#soon(), onPush: () => this.#stay()});
  }

  end() {
    this.isHidden = true;
    this.viewport.end();
  }

  /** A hidden list draws nothing. */
  hide(isHidden) {
    if (this.isHidden === isHidden) return;
    this.isHidden = isHidden;
    if (isHidden) {
      this.#drop(new Set(), new Set());
    } else {
      this.#measure();
      this.viewport.settle();
      this.draw();
    }
  }

  /**
   * Shows other items, or the same in another order. With `isAnchored`, the visible rows of a scrolled
   * list stay in place as far as possible.
   */
  show({items, groups = []}, {isAnchored = false} = {}) {
    if (this.isHidden) {
      this.#take(items, groups);
      return;
    }
    const isFirst = this.items.length === 0; // no tap can be under way on a row
    if (isFirst || !this.viewport.isMeasured) this.#measure();
    if (isFirst) this.viewport.settle();
    if (items === this.items && groups === this.groups && !isFirst) {
      this.#refreshChanged();
      return;
    }
    const before = new Map(isAnchored && this.viewport.scrolled > 0 && items !== this.items ? this.#inSight() : []);
    this.#take(items, groups);
    const shift = this.places.shiftSince(before, this.items, this.keyOf);
    this.draw({isReordered: !isFirst});
    if (shift === 0) return;
    this.viewport.scrollBy(shift);
    this.draw();
  }

  #take(items, groups) {
    Object.assign(this, {items, groups});
    this.places.hold(items.length, groups);
  }

  /** Every row has its place already: draws those whose item is another now, and the headings' counts. */
  #refreshChanged() {
    for (const row of this.rows.values()) {
      const item = this.items[row.index];
      if (row.item !== item && this.keyOf(item) === row.dataset.key) this.#render(item, row);
    }
    for (const [index, heading] of this.headings) this.look.title(this.groups[index], heading);
  }

  #render(item, row) {
    row.item = item;
    this.look.render(item, row);
  }

  /** Keys and places of the visible rows. */
  #inSight() {
    const {top, height} = this.viewport;
    return [...this.rows]
      .filter(([, {place}]) => place + this.places.rowHeight > top && place < top + height)
      .map(([key, {place}]) => [key, place]);
  }

  #stay() {
    if (this.isHidden) return;
    this.#measure();
    if (!this.viewport.stay()) return;
    for (const row of this.rows.values()) ignoreTaps(row);
    this.draw();
  }

  refresh(key) {
    const row = this.rows.get(key);
    if (row) this.look.render(row.item, row);
  }

  indexOf(key) {
    const row = this.rows.get(key);
    if (row && this.items[row.index] && this.keyOf(this.items[row.index]) === key) return row.index;
    return this.items.findIndex((each) => this.keyOf(each) === key);
  }

  has(key) {
    return this.indexOf(key) >= 0;
  }

  get first() {
    return this.items.length > 0 ? this.keyOf(this.items[0]) : null;
  }

  next(key, by) {
    const index = this.indexOf(key) + by;
    const item = this.items[Math.min(Math.max(index, 0), this.items.length - 1)];
    return item ? this.keyOf(item) : null;
  }

  /** The key of the row beside another: in a list there is none. */
  beside(key) {
    return key;
  }

  /** The first key in sight, and how far its row is below the upper edge of the view, in px. */
  get sighted() {
    this.#measure();
    const {top} = this.viewport;
    const index = this.places.indexAt(top);
    return this.items[index] ? {key: this.keyOf(this.items[index]), below: this.places.of(index) - top} : null;
  }

  /** Scrolls so that a row is as far below the upper edge as `sighted` said. */
  scrollTo({key, below}) {
    const index = this.indexOf(key);
    if (index < 0) return;
    this.#measure();
    this.viewport.scrollBy(this.places.of(index) - below - this.viewport.top);
    this.draw();
  }

  reveal(key) {
    const index = this.indexOf(key);
    if (index < 0 || this.isHidden) return null;
    this.#measure();
    this.viewport.reveal({place: this.places.of(index), height: this.places.rowHeight, cover: this.look.cover});
    this.draw();
    return this.rows.get(key);
  }

  #soon() {
    if (this.frame || this.isHidden) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  #measure() {
    const style = getComputedStyle(this.container);
    this.places.measure({
      row: parseFloat(style.getPropertyValue('--row')) * 16,
      heading: parseFloat(style.getPropertyValue('--heading') || 0) * 16,
    });
    this.viewport.measure();
  }

  draw({isReordered = false} = {}) {
    if (this.isHidden) return;
    if (!this.viewport.isMeasured) this.#measure();
    const total = this.items.length;
    const {top, height} = this.viewport;
    const first = Math.max(0, this.places.indexAt(top) - SPARE_ROWS);
    const last = Math.min(total, this.places.indexAt(top + height) + 1 + SPARE_ROWS);
    setStyle(this.container, 'height', `${this.places.height}px`);
    const wanted = new Set();
    const headings = new Set();
    const ordered = [];
    let group = this.places.groupsTo(first - 1);
    for (let index = first; index < last; index += 1) {
      if (this.groups[group]?.start === index) {
        headings.add(group);
        ordered.push(this.#heading(group));
        group += 1;
      }
      wanted.add(this.keyOf(this.items[index]));
      ordered.push(this.#row(index, ordered.at(-1), isReordered));
    }
    this.#drop(wanted, headings);
    putInOrder(this.container, ordered);
  }

  #row(index, before, isReordered) {
    const item = this.items[index];
    const total = this.items.length;
    const key = this.keyOf(item);
    let row = this.rows.get(key);
    if (!row) {
      row = this.look.row();
      row.dataset.key = key;
      this.rows.set(key, row);
      if (before) before.after(row);
      else this.container.prepend(row);
      if (isReordered) ignoreTaps(row);
    } else if (row.index !== index) {
      ignoreTaps(row);
    }
    if (row.index !== index || row.total !== total) {
      this.look.number(row, index, total);
      Object.assign(row, {index, total});
    }
    row.place = this.places.of(index);
    setStyle(row, 'transform', `translateY(${row.place}px)`);
    if (row.item !== item) this.#render(item, row);
    return row;
  }

  #heading(index) {
    const group = this.groups[index];
    let heading = this.headings.get(index);
    if (!heading) {
      heading = this.look.heading();
      this.headings.set(index, heading);
      this.container.append(heading);
    }
    setStyle(heading, 'transform', `translateY(${this.places.of(group.start) - this.places.headingHeight}px)`);
    this.look.title(group, heading);
    return heading;
  }

  /** Removes what is not wanted, but not a row that has the focus. */
  #drop(wanted, headings) {
    for (const [key, row] of this.rows) {
      if (wanted.has(key)) continue;
      if (row.contains(document.activeElement) && !this.isHidden && this.has(key)) continue;
      row.remove();
      this.rows.delete(key);
    }
    for (const [index, heading] of this.headings) {
      if (headings.has(index)) continue;
      heading.remove();
      this.headings.delete(index);
    }
  }

  /** Redraws every visible row, after a change outside the items. */
  redraw() {
    for (const row of this.rows.values()) this.look.render(row.item, row);
  }
}
