// The table: one item a line, dense, for a desk. A touch of a column's heading sorts by it.

import {byId, fill, h} from './dom.js';
import {moment, t} from './i18n.js';
import {arrange, part} from './kept_parts.js';
import {byAttribute} from './sorting.js';

const FIXED = ['tag', 'title', 'state', 'step', 'holder', 'since'];
// The least width in rem and the share of the rest. Without attributes all fit on a tablet of 1024 px.
const WIDTHS = {tag: [9, 2.4], title: [4.25, 1.8], state: [7.25, 1.8], step: [3.75, 1],
  holder: [4.75, 1.2], since: [6.75, 0]};
const OTHER_WIDTH = [4, 1];
const CHOOSE_REM = 2.75;
const ACTS_REM = 16.75;
const GAP_REM = 0.75; // as in app.css
const EDGES_REM = 1.3;

/** The columns of a board's table: [{by, title}]; `by` is what it sorts by, and `attributes` are those it shows. */
export function columnsOf(attributes, hasSteps) {
  return [
    ...FIXED.filter((name) => name !== 'step' || hasSteps).map((name) => ({by: name, title: t(`column.${name}`)})),
    ...attributes.map((name) => ({by: byAttribute(name), title: name, attribute: name})),
  ];
}

export class Table {
  /** `parts` and `settings` as for a card; `onSort(by)` is called with what the touched column sorts by. */
  constructor(parts, {settings, titleOf, onSort}) {
    Object.assign(this, {parts, settings, titleOf, onSort});
    this.place = byId('table');
    this.columns = [];
    new ResizeObserver(([{target}]) => { // the headings stay below the page's fixed top
      this.place.style.setProperty('--stuck', `${target.offsetHeight}px`);
    }).observe(document.querySelector('.stuck'));
    this.least = 0; // rem
    new ResizeObserver(() => this.#fit()).observe(this.place);
  }

  /** Narrower than its columns, the table scrolls in itself. */
  #fit() {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    this.place.classList.toggle('scrolls', this.place.clientWidth < this.least * rem);
  }

  /** Draws the headings; the rows follow by themselves when the list is redrawn. */
  head(columns, {sort, isReversed}) {
    this.columns = columns;
    const widths = columns.map(({by}) => WIDTHS[by] ?? OTHER_WIDTH);
    const least = widths.map(([rem, share]) => (share ? `minmax(${rem}rem, ${share}fr)` : `${rem}rem`));
    this.place.style.setProperty('--columns', `${CHOOSE_REM}rem ${least.join(' ')} ${ACTS_REM}rem`);
    this.least = widths.reduce((sum, [rem]) => sum + rem + GAP_REM, CHOOSE_REM + GAP_REM + ACTS_REM + EDGES_REM);
    this.place.style.setProperty('--least', `${this.least}rem`);
    this.#fit();
    const direction = isReversed ? 'descending' : 'ascending';
    const focused = document.activeElement.closest?.('#table-head button')?.dataset.by;
    fill(byId('table-head'),
      h('span', {role: 'columnheader'}, h('span', {class: 'unseen'}, t('column.choose'))),
      ...columns.map(({by, title}) => h('span', {role: 'columnheader', 'aria-sort': by === sort ? direction : null},
        h('button', {type: 'button', class: 'sorts', 'data-by': by, onclick: () => this.onSort(by)}, title))),
      h('span', {role: 'columnheader'}, h('span', {class: 'unseen'}, t('column.acts'))));
    if (focused) byId('table-head').querySelector(`[data-by="${CSS.escape(focused)}"]`)?.focus();
  }

  /** How a virtual list (list.js) draws the lines. */
  get look() {
    return {
      cover: 48, // px of the headings, which stay above the rows
      row: () => h('div', {class: 'row', role: 'row'}),
      heading: () => h('div', {class: 'heading', role: 'row'},
        h('span', {role: 'rowheader', 'aria-colspan': this.columns.length + 2})),
      render: (item, row) => this.#draw(item, row),
      title: (group, heading) => this.titleOf(group, heading.firstChild),
      number: (row, index, total) => {
        row.setAttribute('aria-rowindex', index + 2); // the headings are the first
        this.place.setAttribute('aria-rowcount', total + 1);
      },
    };
  }

  #draw(item, row) {
    const {parts} = this;
    const cell = (name) => part(row, `cell ${name}`, '', () => h('div', {class: `cell ${name}`, role: 'cell'}));
    const text = (name, shown) => part(row, `text ${name}`, shown, () => document.createTextNode(shown));
    parts.draw(item, row, (operations) => [
      arrange(cell('choosing'), parts.pick(item, row)),
      ...this.columns.map(({by, attribute}) => {
        const shown = part(row, `column ${by}`, '', () => h('div', {class: `cell of-${attribute ? 'attribute' : by}`,
          role: 'cell'}));
        if (attribute) return arrange(shown, text(by, String(item.attributes?.[attribute] ?? '')));
        return arrange(shown, ...this.#contentOf(by, item, row, text));
      }),
      arrange(cell('acting'), parts.acts(item, row, operations)),
    ]);
  }

  #contentOf(by, item, row, text) {
    const {parts, settings} = this;
    const element = (name, kind, shown) => part(row, name, shown, () => h(kind, {class: name}, shown));
    if (by === 'tag') return [part(row, 'link', item.tag, () => parts.link(item))];
    if (by === 'title') return [parts.refusal(item) ?? text(by, item.title)];
    if (by === 'state') return [parts.state(item, row), item.reason && element('reason', 'span', item.reason)];
    if (by === 'step') return [text(by, settings.titleOf(item.step))];
    if (by === 'holder') return [item.holder && element('holder', 'strong', item.holder.name)];
    const {since} = item;
    return [part(row, 'since', since, () => h('time', {datetime: since, title: moment(since)}))];
  }
}
