// A virtual list: only the visible rows are in the document, so 5,000 items are as fast as 20.
//
// All rows have the same height (the stylesheet's --row), so a row's place is computed without
// a search. Rows are kept by key and moved, so that a touch, the focus and a screen reader's position
// survive a change of the list.

import {sight} from './dom.js';
import {ignoreTaps} from './tap_filter.js';

const SPARE_ROWS = 6;

export class List {
  /** `render(item, row)` fills or refreshes a row element; `keyOf(item)` names an item. */
  constructor(container, {render, keyOf}) {
    this.container = container;
    this.render = render;
    this.keyOf = keyOf;
    this.items = [];
    this.rows = new Map();
    this.top = this.#pageTop;
    addEventListener('scroll', () => this.#soon(), {passive: true});
    new ResizeObserver(() => this.#soon()).observe(container);
    new ResizeObserver(() => this.#stay()).observe(document.body);
  }

  /**
   * Shows other items, or the same in another order. With `isAnchored`, the visible rows of a scrolled
   * list stay in place as far as possible.
   */
  show(items, {isAnchored = false} = {}) {
    const before = isAnchored && scrollY > 0 ? this.#inSight() : [];
    const isFirst = this.items.length === 0; // no tap can be under way on a row
    if (isFirst) this.top = this.#pageTop;
    this.items = items;
    const at = new Map(items.map((item, index) => [this.keyOf(item), index]));
    const shifts = before.filter(([key]) => at.has(key)).map(([key, index]) => at.get(key) - index);
    this.draw({isReordered: !isFirst});
    if (shifts.length === 0) return;
    const shift = shifts.sort((one, other) => one - other)[Math.floor(shifts.length / 2)];
    if (shift === 0) return;
    scrollBy(0, shift * this.rowHeight);
    this.draw();
  }

  /** Keys and indexes of the visible rows. */
  #inSight() {
    return [...this.rows].filter(([, row]) => {
      const {top, bottom} = row.getBoundingClientRect();
      return bottom > 0 && top < innerHeight;
    }).map(([key]) => [key, this.indexOf(key)]).filter(([, index]) => index >= 0);
  }

  get #pageTop() {
    return this.container.getBoundingClientRect().top + scrollY;
  }

  /** Keeps a scrolled list in place when the content above it grows or shrinks. */
  #stay() {
    const by = this.#pageTop - this.top;
    if (by === 0) return;
    this.top += by;
    if (scrollY > 0) scrollBy(0, by);
    for (const row of this.rows.values()) ignoreTaps(row);
    this.draw();
  }

  /** Redraws one item, if it is visible. */
  refresh(key) {
    const row = this.rows.get(key);
    const item = row && this.items.find((each) => this.keyOf(each) === key);
    if (item) this.render(item, row);
  }

  get rowHeight() {
    return parseFloat(getComputedStyle(this.container).getPropertyValue('--row')) * 16;
  }

  indexOf(key) {
    return this.items.findIndex((each) => this.keyOf(each) === key);
  }

  /** Scrolls an item into view and returns its row. */
  reveal(key) {
    const index = this.indexOf(key);
    if (index < 0) return null;
    const top = this.container.getBoundingClientRect().top + index * this.rowHeight;
    const edges = sight();
    const low = edges.low + 16;
    const high = edges.high - this.rowHeight - 16;
    if (top < low) scrollBy(0, top - low);
    else if (top > high) scrollBy(0, top - high);
    this.draw();
    return this.rows.get(key);
  }

  #soon() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw({isReordered = false} = {}) {
    const height = this.rowHeight;
    const top = -this.container.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / height) - SPARE_ROWS);
    const last = Math.min(this.items.length, Math.ceil((top + innerHeight) / height) + SPARE_ROWS);
    this.container.style.height = `${this.items.length * height}px`;
    const wanted = new Set();
    const ordered = [];
    for (let index = first; index < last; index += 1) {
      const item = this.items[index];
      const key = this.keyOf(item);
      wanted.add(key);
      let row = this.rows.get(key);
      if (!row) {
        row = document.createElement('li');
        row.className = 'row';
        row.dataset.key = key;
        this.rows.set(key, row);
        if (ordered.length > 0) ordered.at(-1).after(row);
        else this.container.prepend(row);
        if (isReordered) ignoreTaps(row);
      } else if (row.index !== index) {
        ignoreTaps(row);
      }
      row.index = index;
      ordered.push(row);
      row.style.transform = `translateY(${index * height}px)`;
      row.setAttribute('aria-setsize', this.items.length);
      row.setAttribute('aria-posinset', index + 1);
      if (row.item !== item) {
        row.item = item;
        this.render(item, row);
      }
    }
    for (const [key, row] of this.rows) {
      if (wanted.has(key)) continue;
      if (row.contains(document.activeElement) && this.indexOf(key) >= 0) continue;
      row.remove();
      this.rows.delete(key);
    }
    putInOrder(this.container, ordered);
  }

  /** Redraws every visible row, after a change outside the items. */
  redraw() {
    for (const row of this.rows.values()) this.render(row.item, row);
  }
}

/** Keeps the rows of the document in visible order, for the Tab key and screen readers. */
function putInOrder(container, rows) {
  const isFollowed = (row, index) => index === rows.length - 1
    || row.compareDocumentPosition(rows[index + 1]) & Node.DOCUMENT_POSITION_FOLLOWING;
  if (rows.every(isFollowed)) return;
  // A moved row loses the focus, so the others are placed around it.
  const focused = rows.findIndex((row) => row.contains(document.activeElement));
  if (focused < 0) {
    container.append(...rows);
  } else {
    rows[focused].before(...rows.slice(0, focused));
    rows[focused].after(...rows.slice(focused + 1));
  }
}
