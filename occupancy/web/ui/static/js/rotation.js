// A list for a screen that nobody touches: as many entries as fit, larger where there are few, and
// page by page where there are more than fit.
//
// An entry's elements are used again for another, so that there are never more than fit at once.

const SCALES = [1.7, 1.45, 1.2, 1];
const MOST_UNPAGED = 100;

/**
 * How entries fit into a box: {scale, columns, rows, pages}. All in the same unit; an entry is
 * `least` wide or wider, and `tall` high, at scale 1.
 */
export function fit(count, {width, height, least, tall, gap}) {
  const layouts = SCALES.map((scale) => ({
    scale,
    columns: Math.max(1, Math.floor((width + gap) / (least * scale + gap))),
    rows: Math.max(1, Math.floor((height + gap) / (tall * scale + gap))),
  }));
  const best = layouts.find(({columns, rows}) => columns * rows >= count) ?? layouts.at(-1);
  const pages = Math.max(1, Math.ceil(count / (best.columns * best.rows)));
  // Columns of one length, where there is only one page: not a full one beside a short one.
  const rows = pages > 1 ? best.rows : Math.max(1, Math.ceil(count / best.columns));
  return {...best, rows, pages};
}

/**
 * `make()` makes an entry, `write(element, item)` puts an item into it. `least` and `tall` in rem.
 * Where the list grows with what is in it (a small screen), `isPaged()` says false.
 */
export class Rotation {
  constructor(list, {make, write, least, tall, gap = 0.5, isPaged = () => true, onPage = () => {}}) {
    Object.assign(this, {list, make, write, least, tall, gap, isPaged, onPage});
    this.items = [];
    this.page = 0;
    this.pages = 1;
    new ResizeObserver(() => this.draw()).observe(list);
  }

  show(items) {
    this.items = items;
    this.draw();
  }

  /** To the next page, or to the first after the last. */
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
      const {scale, columns, rows, pages} = fit(this.items.length, {
        width: list.clientWidth / rem, height: list.clientHeight / rem,
        least: this.least, tall: this.tall, gap: this.gap,
      });
      this.pages = pages;
      this.page = Math.min(this.page, pages - 1);
      const size = columns * rows;
      shown = this.items.slice(this.page * size, (this.page + 1) * size);
      list.style.setProperty('--scale', scale);
      list.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
      list.style.gridTemplateRows = `repeat(${rows}, ${pages > 1 ? '1fr' : `${this.tall * scale}rem`})`;
    } else {
      list.removeAttribute('style');
    }
    while (list.children.length > shown.length) list.lastElementChild.remove();
    while (list.children.length < shown.length) list.append(this.make());
    shown.forEach((item, index) => this.write(list.children[index], item));
    this.onPage(this.page + 1, this.pages);
  }
}
