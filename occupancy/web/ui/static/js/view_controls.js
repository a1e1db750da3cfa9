// The controls of a board's view: its layout, and what it is sorted and grouped by.

import {fillSelect} from './board_view.js';
import {byId, h} from './dom.js';
import {groupFor, LAYOUTS} from './filter.js';
import {t} from './i18n.js';
import {GROUPS, SORTS, attributeOf, byAttribute} from './sorting.js';

const MARKS = {cards: '☰', table: '▦', columns: '▥'};

export class ViewControls {
  /** `onChange()` is called when the user has changed `view`; `attributes()` are those that can be chosen. */
  constructor(view, {attributes, onChange}) {
    Object.assign(this, {view, attributes, onChange});
    byId('layouts').append(...LAYOUTS.map((layout) => h('button', {
      type: 'button', 'data-layout': layout, 'aria-label': t(`layout.${layout}`), title: t(`layout.${layout}`),
      onclick: () => this.#change({layout, group: groupFor(layout, '')}),
    }, h('span', {'aria-hidden': 'true'}, MARKS[layout]))));
    byId('sort').addEventListener('change', ({target}) => this.#change({sort: target.value, isReversed: false}));
    byId('group').addEventListener('change', ({target}) => this.#change({group: target.value}));
    byId('reverse').addEventListener('click', () => this.#change({isReversed: !view.isReversed}));
    const arrange = byId('arrange');
    document.addEventListener('click', ({target}) => { if (!target.closest('#arrange')) arrange.open = false; });
    arrange.addEventListener('keydown', ({key}) => {
      if (key !== 'Escape') return;
      arrange.open = false;
      arrange.querySelector('summary').focus();
    });
    this.draw();
  }

  /** Sorts by what a heading of the table stands for; the second time the other way round. */
  sortBy(by) {
    this.#change({sort: by, isReversed: this.view.sort === by && !this.view.isReversed});
  }

  #change(fields) {
    Object.assign(this.view, fields);
    this.draw();
    this.onChange();
  }

  draw() {
    const {layout, sort, group, isReversed} = this.view;
    for (const button of byId('layouts').children) {
      button.setAttribute('aria-pressed', String(button.dataset.layout === layout));
    }
    const named = [...new Set([...this.attributes(), ...[sort, group].map(attributeOf)])].filter(Boolean)
      .map((name) => [byAttribute(name), name]);
    fillSelect(byId('sort'), [...SORTS.map((by) => [by, t(`column.${by}`)]), ...named], sort);
    fillSelect(byId('group'), [...GROUPS.map((by) => [by, t(`group.by_${by}`)]), ...named], group);
    byId('group').parentElement.hidden = layout === 'columns'; // which are the groups
    byId('reverse').setAttribute('aria-pressed', String(isReversed));
  }
}
