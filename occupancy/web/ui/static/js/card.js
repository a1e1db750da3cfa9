// A card: one item as a row of the list. It has no state, and each drawing replaces all of it.

import {h} from './dom.js';
import {ItemParts, tickRows} from './item_parts.js';

export class Card {
  /** `hooks` (see board.js) say which operations are offered, and handle touches. */
  constructor(hooks) {
    this.settings = hooks.settings;
    this.parts = new ItemParts(hooks);
  }

  draw(item, row) {
    const {parts, settings} = this;
    parts.draw(item, row, (operations) => [
      parts.pick(item),
      h('div', {class: 'what'},
        parts.link(item),
        h('span', {class: 'title'}, item.title)),
      h('div', {class: 'how'},
        parts.state(item),
        parts.since(item),
        item.step !== 'work' && h('span', {class: 'step'}, settings.titleOf(item.step)),
        ...settings.shownOf(item).map(([name, value]) => h('span', {class: 'attribute'}, `${name}: ${value}`)),
        item.holder && h('strong', {class: 'holder'}, item.holder.name),
        item.reason && h('span', {class: 'reason'}, item.reason)),
      parts.refusal(item),
      parts.acts(item, operations),
    ]);
  }

  /** Updates the clocks of the visible rows. */
  tick(rows) {
    tickRows(rows);
  }
}

/** How a virtual list (list.js) draws cards; `titleOf(group)` is the text of a heading. */
export function lookOfCards(card, titleOf) {
  return {
    row: () => h('li', {class: 'row'}),
    heading: () => h('li', {class: 'heading'}, h('h2', {})),
    render: (item, row) => card.draw(item, row),
    title: (group, heading) => titleOf(group, heading.firstChild),
    number(row, index, total) {
      row.setAttribute('aria-setsize', total);
      row.setAttribute('aria-posinset', index + 1);
    },
  };
}
