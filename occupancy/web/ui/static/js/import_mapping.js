// What the columns of a file mean: the form in which a person confirms or corrects the guess.

import {byId, fill, h, setText} from './dom.js';
import {field} from './form_dialog.js';
import {t} from './i18n.js';

/**
 * Draws the form for `columns` ({name, samples}) with `mapping`, or an empty one. `onChange(mapping)` is
 * called with the mapping, or null while no column is chosen as the code; `onHeader(hasHeader)` where the
 * file is to be read with a header, or without one.
 */
export function drawMapping(answer, {onChange, onHeader}) {
  const {columns, mapping, mapping_source: source, has_header: hasHeader = true} = answer;
  drawHeaderChoice(hasHeader, onHeader);
  const named = columns.filter(({name}) => name);
  const given = mapping ?? {code: '', title: null, left_out: []};
  // A letter tells little: the first cell helps to recognise the column.
  const nameOf = ({name, samples: [first]}) => (hasHeader || !first ? name : `${name}: ${first}`);
  // And it is no good name of an attribute, so it needs a choice.
  const isAttribute = ({name}) => !given.left_out.includes(name)
    && (hasHeader || (mapping !== null && ![given.code, given.title].includes(name)));
  const select = (name, value, empty) => h('select', {name}, h('option', {value: ''}, empty),
    ...named.map((each) => h('option', {value: each.name, selected: each.name === value}, nameOf(each))));
  const code = select('code', given.code, t('import.choose_column'));
  const title = select('title', given.title ?? '', t('import.no_title'));
  const ticks = named.map((column) => {
    const tick = h('input', {type: 'checkbox', value: column.name, checked: isAttribute(column)});
    return {column, tick, label: h('label', {class: 'column'}, tick, h('span', {}, column.name),
      column.samples.length > 0 && h('span', {class: 'samples'}, column.samples.join(' · ')))};
  });
  const others = h('fieldset', {}, h('legend', {}, t('import.attributes')),
    h('p', {class: 'hint'}, t('import.attributes_hint')),
    h('div', {class: 'columns'}, ...ticks.map(({label}) => label)));
  const sampleOf = (name) => named.find((each) => each.name === name)?.samples.join(' · ') ?? '';
  const codeSamples = h('span', {class: 'hint'});
  const titleSamples = h('span', {class: 'hint'});

  function show() {
    setText(codeSamples, sampleOf(code.value));
    setText(titleSamples, sampleOf(title.value));
    let isAnyShown = false;
    for (const {column, label} of ticks) {
      label.hidden = [code.value, title.value].includes(column.name);
      isAnyShown ||= !label.hidden;
    }
    others.hidden = !isAnyShown;
  }

  const form = byId('mapping');
  form.onsubmit = (event) => event.preventDefault();
  form.onchange = () => {
    show();
    if (!code.value) {
      onChange(null);
      return;
    }
    const leftOut = ticks.filter(({tick, label}) => !label.hidden && !tick.checked).map(({tick}) => tick.value);
    onChange({code: code.value, title: title.value || null, left_out: leftOut,
      ...(!hasHeader && {has_header: false})});
  };
  const codeField = field(t('import.code'), code);
  codeField.append(codeSamples);
  const titleField = field(t('import.title'), title);
  titleField.append(titleSamples);
  fill(form, h('div', {class: 'pair'}, codeField, titleField), others);
  setText(byId('mapping-source'), source === 'remembered' ? t('import.remembered')
    : source === 'guessed' ? t('import.guessed') : '');
  show();
}

/** The tick for a file without a header. It stays where it is, so it keeps the focus. */
function drawHeaderChoice(hasHeader, onHeader) {
  const tick = byId('no-header');
  tick.checked = !hasHeader;
  tick.onchange = () => onHeader(!tick.checked);
}
