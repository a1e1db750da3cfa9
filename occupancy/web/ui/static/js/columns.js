// The columns: a board's items by step, side by side. Each column scrolls by itself and draws what is visible.

import {h, setText} from './dom.js';
import {number} from './i18n.js';
import {List} from './list.js';

export class Columns {
  /** `look` draws cards, as in list.js. */
  constructor(place, look) {
    Object.assign(this, {place, look});
    this.columns = []; // [{value, title, section, list}]
    this.isHidden = true;
    this.sight = new IntersectionObserver((entries) => {
      for (const {target, isIntersecting} of entries) {
        const column = this.columns.find(({section}) => section === target);
        column?.list.hide(this.isHidden || !isIntersecting);
      }
    }, {root: place});
  }

  /** Makes the columns: [{value, title}] in their order, `value` being that of their group. */
  set(titles) {
    const now = titles.map(({value, title}) => `${value} ${title}`).join('\n');
    if (now === this.drawn) return;
    this.drawn = now;
    this.sight.disconnect();
    for (const {list} of this.columns) list.end();
    this.columns = titles.map(({value, title}, index) => {
      const items = h('ul', {class: 'items', 'aria-labelledby': `column-${index}`});
      const body = h('div', {class: 'column-body'}, items);
      const count = h('span', {class: 'count'});
      const section = h('section', {class: 'column', 'aria-labelledby': `column-${index}`},
        h('h2', {id: `column-${index}`}, title, ' ', count), body);
      return {value, section, count, body, items};
    });
    this.place.replaceChildren(...this.columns.map(({section}) => section));
    for (const column of this.columns) {
      column.list = new List(column.items, this.look, {scroller: column.body});
      column.list.hide(true);
      this.sight.observe(column.section);
    }
  }

  hide(isHidden) {
    if (this.isHidden === isHidden) return;
    this.isHidden = isHidden;
    for (const {section, list} of this.columns) {
      list.hide(true);
      this.sight.unobserve(section); // observing anew tells which are in sight
      if (!isHidden) this.sight.observe(section);
    }
  }

  show({items, groups}, {isAnchored = false, countOf}) {
    for (const {value, list, count} of this.columns) {
      const group = groups.find((each) => each.value === value);
      list.show({items: group ? items.slice(group.start, group.start + group.count) : []}, {isAnchored});
      setText(count, number(countOf(value)));
    }
  }

  #of(key) {
    return this.columns.findIndex(({list}) => list.has(key));
  }

  has(key) {
    return this.#of(key) >= 0;
  }

  get first() {
    return this.columns.map(({list}) => list.first).find((key) => key !== null) ?? null;
  }

  next(key, by) {
    return this.columns[this.#of(key)]?.list.next(key, by) ?? null;
  }

  /** The key of the row beside another, in the next column that has any; `by` is 1 or -1. */
  beside(key, by) {
    const from = this.#of(key);
    const row = this.columns[from]?.list.indexOf(key) ?? 0;
    for (let index = from + by; this.columns[index]; index += by) {
      const {list} = this.columns[index];
      if (list.first !== null) return list.next(list.first, row);
    }
    return key;
  }

  reveal(key) {
    const column = this.columns[this.#of(key)];
    if (!column || this.isHidden) return null;
    column.section.scrollIntoView({block: 'nearest', inline: 'nearest'});
    column.list.hide(false);
    return column.list.reveal(key);
  }

  refresh(key) {
    for (const {list} of this.columns) list.refresh(key);
  }

  redraw() {
    for (const {list} of this.columns) list.redraw();
  }

  get rows() {
    return this.columns.flatMap(({list}) => [...list.rows.values()]);
  }

  get sighted() {
    return {left: this.place.scrollLeft, each: this.columns.map(({list}) => list.sighted)};
  }

  scrollTo({left, each}) {
    this.place.scrollLeft = left ?? 0;
    each?.forEach((sighted, index) => { if (sighted) this.columns[index]?.list.scrollTo(sighted); });
  }
}
