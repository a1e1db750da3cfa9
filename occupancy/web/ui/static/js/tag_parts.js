// Tags: those of one board differ at the end, so a long tag is shortened in the middle.

import {h} from './dom.js';

const TAIL = 7; // characters

/** A tag's text in two parts: the first may be cut off on the page, the second may not. */
export function splitTag(tag) {
  return [tag.slice(0, -TAIL), tag.slice(-TAIL)];
}

export function partsOf(tag) {
  const [head, tail] = splitTag(tag);
  return [h('span', {class: 'head'}, head), h('span', {class: 'tail'}, tail)];
}
