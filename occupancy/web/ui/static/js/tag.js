// Tags: those of one board differ at the end, so a long tag is shortened in the middle.

import {h} from './dom.js';

const TAIL = 7; // characters

/** A tag in two parts: one that may be cut, and one that may not. */
export function partsOf(tag) {
  return [h('span', {class: 'head'}, tag.slice(0, -TAIL)), h('span', {class: 'tail'}, tag.slice(-TAIL))];
}
