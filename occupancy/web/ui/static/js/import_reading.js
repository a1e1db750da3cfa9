// How the file of an import was read: what it is, its encoding and its sheet.

import {byId, fill, h, setText} from './dom.js';
import {field} from './form_dialog.js';
import {number, t, tn} from './i18n.js';
import {FORMATS, separatorName} from './import_text.js';

const ENCODINGS = {'utf-8': 'UTF-8', cp1252: 'Windows (cp1252)', 'latin-1': 'Latin-1', 'utf-16': 'UTF-16',
  cp850: 'MS-DOS (cp850)', 'mac-roman': 'Macintosh'};

export function drawFacts({file, format, rows, separator, header_line}) {
  setText(byId('file-title'), file || t('import.file'));
  setText(byId('facts'), [FORMATS[format], tn('import.count', rows),
    separator && t('import.separated', {separator: separatorName(separator)}),
    header_line > 1 && t('import.header_line', {line: number(header_line)})].filter(Boolean).join(' · '));
}

/**
 * The choices of how the file is read. `onChoose({encoding})` or `onChoose({sheet})` gets another one; null
 * where the file is not at hand any more, to be sent again.
 */
export function drawReading({encoding, sheet, sheets}, onChoose) {
  const choices = [];
  const choice = (label, name, values, value) => field(label, h('select', {name, disabled: onChoose === null,
    onchange: ({currentTarget}) => onChoose({[name]: currentTarget.value})},
  ...values.map((each) => h('option', {value: each, selected: each === value},
    ENCODINGS[each] ?? each))));
  if (encoding) {
    const values = new Set([encoding, ...Object.keys(ENCODINGS)]);
    choices.push(choice(t('import.encoding'), 'encoding', [...values], encoding),
      h('p', {class: 'hint'}, t('import.encoding_hint')));
  }
  if (sheets.length > 1) choices.push(choice(t('import.sheet'), 'sheet', sheets, sheet));
  else if (sheet) choices.push(h('p', {}, `${t('import.sheet')}: ${sheet}`));
  if (onChoose === null && choices.length > 0) choices.push(h('p', {class: 'hint'}, t('import.choose_again')));
  fill(byId('reading'), ...choices);
}
