// Tags: those of one board differ at the end, so where there is no room the middle is left out.

import {h} from './dom.js';

const TAIL = 7; // characters

/** A tag in two parts: what may be cut short, and what may not. */
export function partsOf(tag) {
  return [h('span', {class: 'head'}, tag.slice(0, -TAIL)), h('span', {class: 'tail'}, tag.slice(-TAIL))];
}
