// The preview of an import: what would become of each row, by result, and why some are rejected.

import {byId, fill, h, setText} from './dom.js';
import {number, t, tn} from './i18n.js';
import {sayRow} from './import_text.js';

export const RESULTS = ['added', 'updated', 'unchanged', 'rejected'];

/** Shows a preview, or none. Its lines can be filtered by result. */
export class Preview {
  constructor() {
    this.preview = null;
    this.result = '';
  }

  show(preview) {
    this.preview = preview;
    if (preview && this.result && preview[this.result] === 0) this.result = '';
    this.#draw();
  }

  #draw() {
    const {preview} = this;
    byId('counts').hidden = !preview;
    byId('lines').hidden = !preview;
    byId('lines-more').hidden = true;
    if (!preview) return;
    const all = RESULTS.reduce((sum, each) => sum + preview[each], 0);
    const focused = document.activeElement?.dataset?.result;
    fill(byId('counts'), ...['', ...RESULTS].map((each) => h('button', {type: 'button', 'data-result': each,
      'aria-pressed': String(this.result === each), disabled: each !== '' && preview[each] === 0,
      onclick: () => {
        this.result = each;
        this.#draw();
      }},
    each ? t(`import.result.${each}`) : t('state.all'), ' ',
    h('strong', {class: 'count'}, number(each ? preview[each] : all)))));
    if (focused !== undefined) byId('counts').querySelector(`[data-result="${focused}"]`)?.focus();
    const lines = RESULTS.filter((each) => !this.result || each === this.result)
      .flatMap((result) => preview.lines[result].map((line) => ({...line, result})))
      .sort((one, other) => one.line - other.line);
    drawLines(byId('lines'), lines);
    const total = this.result ? preview[this.result] : all;
    byId('lines-more').hidden = lines.length === total;
    setText(byId('lines-more'), t('import.first_lines', {shown: number(lines.length), all: number(total)}));
  }
}

/** Fills a table with lines of a file: {line, tag, result, …}. */
export function drawLines(table, lines) {
  fill(table, h('thead', {}, h('tr', {},
    h('th', {scope: 'col'}, t('import.line')), h('th', {scope: 'col'}, t('items.tag')),
    h('th', {scope: 'col'}, t('import.result')))),
  h('tbody', {}, ...lines.map((line) => h('tr', {'data-line': line.line},
    h('td', {class: 'number', 'data-label': t('import.line')}, number(line.line)),
    h('th', {scope: 'row'}, line.tag),
    h('td', {}, h('span', {class: `sheet-result ${line.result}`}, t(`import.result.${line.result}`)),
      ...whatOf(line))))));
  table.hidden = lines.length === 0;
}

function whatOf(line) {
  if (line.result === 'rejected') return [': ', h('span', {class: 'why'}, sayRow(line))];
  if (line.result === 'updated' && line.changes?.length > 0) {
    // An attribute may be called "title" too; the item's own comes first.
    const names = line.changes.map((name, index) => (name === 'title' && index === 0 ? t('items.title') : name));
    return [`: ${names.join(', ')}`];
  }
  return line.title ? [`: ${line.title}`] : [];
}

/** "120 added, 3 updated": the counts in words, without those that are zero. */
export function countsInWords(counts) {
  const texts = {
    added: () => tn('import.added', counts.added),
    updated: () => tn('import.updated', counts.updated),
    unchanged: () => tn('import.unchanged', counts.unchanged),
    rejected: () => tn('import.rejected', counts.rejected),
  };
  return RESULTS.filter((each) => counts[each] > 0).map((each) => texts[each]()).join(' · ') || t('import.nothing');
}
