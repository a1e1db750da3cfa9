// Sorting and grouping: the values of an item by which a view puts items in order. Pure.

import {fold} from './fold.js';
import {STATES, compare} from './model.js';

/** The groups of a list for its reader, in their order. */
export const SECTIONS = ['mine', 'others', 'still', 'free', 'done'];
const SECTION_OF = {occupied: 'others', paused: 'still', blocked: 'still', available: 'free', completed: 'done'};
const ATTRIBUTE = 'a:'; // before the name of an attribute

/** What a view may sort and group by, besides attributes. */
export const SORTS = ['state', 'tag', 'title', 'step', 'holder', 'since'];
export const GROUPS = ['section', 'none', 'step', 'holder'];

/** The name of the attribute that a sort or grouping is about, or null. */
export function attributeOf(by) {
  return by.startsWith(ATTRIBUTE) ? by.slice(ATTRIBUTE.length) : null;
}

export function byAttribute(name) {
  return ATTRIBUTE + name;
}

/**
 * A function that gives an item's value for a sort or a grouping; undefined where it has none, which comes last.
 * `steps` are the board's, and `worker` is who reads.
 */
export function valueBy(by, {worker, steps}) {
  const attribute = attributeOf(by);
  if (attribute !== null) return (item) => natural(item.attributes?.[attribute]);
  const isMine = (item) => worker !== null && item.holder?.id === worker;
  const stepOf = (item) => {
    const index = steps.indexOf(item.step);
    return index < 0 ? steps.length : index;
  };
  const sectionOf = (item) => SECTIONS.indexOf(isMine(item) ? 'mine' : SECTION_OF[item.state]);
  return {
    none: () => 0,
    section: sectionOf,
    // Of a board with one step its columns show something by what can be done.
    column: steps.length < 2 ? sectionOf : (item) => (
      item.state === 'completed' ? steps.length : Math.min(stepOf(item), steps.length - 1)),
    state: (item) => (isMine(item) ? -1 : STATES.indexOf(item.state)),
    tag: (item) => item.tag,
    title: (item) => natural(item.title),
    step: stepOf,
    holder: (item) => natural(item.holder?.name),
    since: (item) => item.since,
  }[by];
}

/** A text so that 'Spool 9' comes before 'Spool 10', and 'ángulo' beside 'Angulo'; undefined for none. */
function natural(value) {
  if (value === undefined || value === null || value === '') return undefined;
  return fold(String(value)).replace(/\d+/g, (digits) => digits.padStart(12, '0'));
}

/** Compares two values of the same sort; undefined comes last in both directions. */
export function inOrder(one, other, isReversed = false) {
  if (one === other) return 0;
  if (one === undefined) return 1;
  if (other === undefined) return -1;
  return isReversed ? compare(other, one) : compare(one, other);
}
