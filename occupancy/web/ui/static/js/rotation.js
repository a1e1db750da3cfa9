// A list for a wallboard: it shows as many entries as fit, larger if there are few, and page by page if
// there are more than fit.
//
// The elements of an entry are reused for another, so there are never more than fit at once.

const SCALES = [1.7, 1.45, 1.2, 1];
const MOST_UNPAGED = 100;

/**
 * The layout of entries in a box: {scale, columns, rows, pages}. All lengths have the same unit; at
 * scale 1 an entry is at least `least` wide, and `tall` high.
 */
export function fit(count, {width, height, least, tall, gap}) {
  const layouts = SCALES.map((scale) => ({
    scale,
    columns: Math.max(1, Math.floor((width + gap) / (least * scale + gap))),
    rows: Math.max(1, Math.floor((height + gap) / (tall * scale + gap))),
  }));
  const best = layouts.find(({columns, rows}) => columns * rows >= count) ?? layouts.at(-1);
  const pages = Math.max(1, Math.ceil(count / (best.columns * best.rows)));
  // On a single page, columns have equal lengths, not a full one beside a short one.
  const rows = pages > 1 ? best.rows : Math.max(1, Math.ceil(count / best.columns));
  return {...best, rows, pages};
}

/** The layout of entries in one row, as wide as their box. */
export function oneRow(count, {width, least, gap}) {
  const most = Math.max(1, Math.floor((width + gap) / (least + gap)));
  const pages = Math.max(1, Math.ceil(count / most));
  return {scale: 1, columns: Math.max(1, Math.ceil(count / pages)), rows: 1, pages};
}

/**
 * `make()` makes an entry, `write(element, item)` puts an item into it. `least` and `tall` are in rem.
 * Where entries have a text of several lines, `line` is the height of one: they grow by the lines for
 * which there is room (--lines). `isPaged()` is false where the list grows with its content (a small screen).
 */
export class Rotation {
  constructor(list, {
    make, write, least, tall, line = 0, gap = 0.5, layout = fit, isPaged = () => true, onPage = () => {},
  }) {
    Object.assign(this, {list, make, write, least, tall, line, gap, layout, isPaged, onPage});
    this.items = [];
    this.page = 0;
    this.pages = 1;
    new ResizeObserver(() => this.draw()).observe(list);
  }

  show(items) {
    this.items = items;
    this.draw();
  }

  /** Goes to the next page, and from the last to the first. */
  turn() {
    if (this.pages < 2) return;
    this.page = (this.page + 1) % this.pages;
    this.draw();
  }

  draw() {
    const {list} = this;
    let shown = this.items.slice(0, MOST_UNPAGED);
    this.pages = 1;
    if (this.isPaged()) {
      const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
      const height = list.clientHeight / rem;
      const {scale, columns, rows, pages} = this.layout(this.items.length, {
        width: list.clientWidth / rem, height, least: this.least, tall: this.tall, gap: this.gap,
      });
      this.pages = pages;
      this.page = Math.min(this.page, pages - 1);
      const size = columns * rows;
      shown = this.items.slice(this.page * size, (this.page + 1) * size);
      const room = (height + this.gap) / rows - this.gap - this.tall * scale; // of each entry
      const lines = this.line ? Math.max(0, Math.floor(room / (this.line * scale))) : 0;
      list.style.setProperty('--scale', scale);
      list.style.setProperty('--lines', Math.max(1, lines)); // the first may be another text's
      list.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
      const tall = `${this.tall * scale}rem`;
      const row = pages > 1 ? '1fr' : lines > 0 ? `minmax(${tall}, max-content)` : tall;
      list.style.gridTemplateRows = `repeat(${rows}, ${row})`;
    } else {
      list.removeAttribute('style');
    }
    while (list.children.length > shown.length) list.lastElementChild.remove();
    while (list.children.length < shown.length) list.append(this.make());
    shown.forEach((item, index) => this.write(list.children[index], item));
    this.onPage(this.page + 1, this.pages);
  }
}
