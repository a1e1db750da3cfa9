// What the list of items shows: the same words, state and step as the server's export selects.

import {fold} from './fold.js';

/** The items that `filter` ({text, state, step}) selects, in the order of `items`. */
export class ItemSearch {
  constructor(items) {
    this.items = items;
    this.texts = null; // folded once, at the first search
  }

  select({text = '', state = '', step = ''}) {
    const words = fold(text).split(/\s+/).filter(Boolean);
    if (words.length > 0) this.texts ??= this.items.map(searched);
    return this.items.filter((item, index) => (
      (!state || item.state === state) && (!step || item.step === step)
      && words.every((word) => this.texts[index].includes(word))));
  }
}

/** The names of attributes in use, the most frequent first. */
export function attributeNames(items) {
  const counts = new Map();
  for (const item of items) {
    for (const name of Object.keys(item.attributes)) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].sort((one, other) => other[1] - one[1]).map(([name]) => name);
}

// As boards/search.py: tag, title and holder.
function searched({tag, title, holder}) {
  return fold([tag, title, holder?.name ?? '', holder?.id ?? ''].join(' '));
}
