// A part of the page of programs: what it is for, a button that makes another, what was just made,
// and the table of those that are there.

import {announce, fill, h} from './dom.js';
import {t} from './i18n.js';

export class Section {
  /** `columns` are the titles of the columns before the button that revokes; `onMake` is called by the button. */
  constructor({id, title, intro, make, columns, none, onMake}) {
    this.columns = columns;
    this.heading = h('h2', {id: `${id}-title`, tabindex: '-1'}, title);
    this.made = h('div', {class: 'made', hidden: true});
    this.rows = h('tbody');
    this.table = h('table', {class: 'listing', 'aria-labelledby': `${id}-title`},
      h('thead', {}, h('tr', {}, ...columns.map((each) => h('th', {scope: 'col'}, each)),
        h('th', {scope: 'col'}, h('span', {class: 'unseen'}, t('programs.revoke'))))),
      this.rows);
    this.none = h('p', {class: 'soft'}, none);
    this.element = h('section', {id, 'aria-labelledby': `${id}-title`}, this.heading, h('p', {class: 'narrow'}, intro),
      h('p', {class: 'toolbar'}, h('button', {type: 'button', class: 'primary', onclick: onMake}, make)),
      this.made, this.table, this.none);
  }

  /** Shows the table: `rows` have an id, the texts of the columns, and what the button that revokes does. */
  show(rows) {
    fill(this.rows, ...rows.map((each) => this.#row(each)));
    this.table.hidden = rows.length === 0;
    this.none.hidden = rows.length > 0;
  }

  #row({id, cells, label, isOff = false, onRevoke}) {
    return h('tr', {'data-id': id, class: isOff && 'off'},
      ...cells.map((cell, place) => (place === 0 ? h('th', {scope: 'row'}, cell)
        : h('td', {'data-label': this.columns[place]}, cell))),
      h('td', {}, h('div', {class: 'buttons'}, h('button', {type: 'button', class: 'danger', 'aria-label': label,
        onclick: onRevoke}, t('programs.revoke')))));
  }

  /** Shows what was just made, until somebody closes it. */
  present(title, ...panel) {
    const heading = h('h3', {tabindex: '-1'}, title);
    fill(this.made, heading, ...panel, h('div', {class: 'buttons'},
      h('button', {type: 'button', onclick: () => {
        this.hidePresented();
        this.heading.focus();
      }}, t('programs.close'))));
    this.made.hidden = false;
    heading.focus();
  }

  hidePresented() {
    fill(this.made);
    this.made.hidden = true;
  }

  /** After a row was revoked: its button is gone, so the focus would be lost. */
  said(text) {
    announce(text);
    this.heading.focus();
  }
}
