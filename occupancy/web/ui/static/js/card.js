// A card: one item as a row of the list.

import {h} from './dom.js';
import {ItemParts} from './item_parts.js';
import {arrange, part} from './kept_parts.js';

export class Card {
  /** `hooks` as in item_parts.js. */
  constructor(hooks) {
    this.settings = hooks.settings;
    this.parts = new ItemParts(hooks);
  }

  draw(item, row) {
    const {parts, settings} = this;
    const text = (name, kind, shown) => part(row, `${kind} ${name}`, shown, () => h(kind, {class: name}, shown));
    parts.draw(item, row, (operations) => [
      parts.pick(item, row),
      part(row, 'what', `${item.tag} ${item.title}`, () => h('div', {class: 'what'},
        parts.link(item),
        h('span', {class: 'title'}, item.title))),
      arrange(part(row, 'how', '', () => h('div', {class: 'how'})),
        parts.state(item, row),
        parts.since(item, row),
        item.step !== 'work' && text('step', 'span', settings.titleOf(item.step)),
        ...settings.shownOf(item).map(([name, value]) => part(row, `attribute ${name}`, value, () => (
          h('span', {class: 'attribute'}, `${name}: ${value}`)))),
        item.holder && text('holder', 'strong', item.holder.name),
        item.reason && text('reason', 'span', item.reason)),
      parts.refusal(item),
      parts.acts(item, row, operations),
    ]);
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
