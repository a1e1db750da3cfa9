// The lines of an import as a table, and their numbers as a sentence.

import {h} from './dom.js';
import {number, t} from './i18n.js';
import {roleText} from './people_text.js';

const MOST_LINES = 300;
const ORDER = ['rejected', 'added', 'updated', 'unchanged'];
const COLUMNS = ['people.import.line', 'people.id', 'people.name', 'people.role', 'people.import.becomes'];
const CHANGES = {name: 'people.import.change_name', role: 'people.import.change_role', pin: 'people.import.change_pin'};

/** 'Added: 3 · changed: 1 …'; `key` is the sentence around it. */
export function countsText(counts, key) {
  return t(key, Object.fromEntries(ORDER.map((each) => [each, number(counts[each])])));
}

/** The rejected rows first: they are what there is to do. */
export function linesTable(lines) {
  const sorted = lines.toSorted((one, other) => (
    ORDER.indexOf(one.result) - ORDER.indexOf(other.result) || one.line - other.line));
  const beyond = sorted.length - MOST_LINES;
  return h('div', {class: 'stack tight'},
    h('table', {class: 'listing import-lines'},
      h('thead', {}, h('tr', {}, ...COLUMNS.map((key) => h('th', {scope: 'col'}, t(key))))),
      h('tbody', {}, ...sorted.slice(0, MOST_LINES).map(row))),
    beyond > 0 && h('p', {class: 'soft'}, t('people.import.beyond', {count: number(beyond)})));
}

function row(line) {
  return h('tr', {class: line.result},
    h('td', {'data-label': t('people.import.line')}, number(line.line)),
    h('th', {scope: 'row'}, h('bdi', {}, line.id)),
    h('td', {}, line.name && h('bdi', {}, line.name)),
    h('td', {}, line.role ? roleText(line.role) : ''),
    h('td', {class: 'becomes'}, becomes(line)));
}

function becomes({result, code, changes = [], has_pin: hasPin}) {
  if (result === 'rejected') return t(`people.why.${code}`);
  const text = t(`people.result.${result}`);
  if (result === 'updated') return `${text}: ${changes.map((each) => t(CHANGES[each])).join(', ')}`;
  return result === 'added' && hasPin ? `${text}, ${t('people.import.with_pin')}` : text;
}
