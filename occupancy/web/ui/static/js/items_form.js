// The form in which an item is added or edited.

import * as api from './api.js';
import {h} from './dom.js';
import {field, openForm, sayOf} from './form_dialog.js';
import {t} from './i18n.js';
import {addressOf} from './item_address.js';
import {sendOnce} from './persistent_send.js';

const TAG = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;
const MOST_ATTRIBUTES = 32;
const MOST_TITLE = 200;
const MOST_NAME = 64;
const MOST_VALUE = 500;
let rowCount = 0;

/**
 * Opens the form; with `item` it edits that one. `names` are those of attributes to propose. Resolves
 * to the item as the server has it, or null if the user cancels.
 */
export function openItemForm(board, {item = null, names = []}) {
  const tag = h('input', {name: 'tag', maxlength: 64, autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false'});
  const title = h('input', {name: 'title', maxlength: MOST_TITLE, autocomplete: 'off', value: item?.title ?? ''});
  const rows = h('div', {class: 'attribute-rows'});
  const proposals = h('datalist', {id: 'attribute-names'}, ...names.map((value) => h('option', {value})));
  const add = (name, value) => {
    const made = attributeRow(name, value);
    rows.append(made);
    return made;
  };
  for (const [name, value] of Object.entries(item?.attributes ?? {})) add(name, value);
  const more = h('button', {type: 'button', onclick: () => add('', '').querySelector('input').focus()},
    t('items.add_attribute'));
  let version = item?.version;
  const keys = new Map(); // by what is sent: sent again, it has the key of the first time

  async function send() {
    const body = {title: title.value.trim() || (item?.tag ?? tag.value.trim()), attributes: attributesOf(rows)};
    if (item) {
      return (await api.send('PUT', addressOf(board, item.tag), {body, headers: {'If-Match': `"${version}"`}})).item;
    }
    const given = tag.value.trim();
    if (!TAG.test(given)) refuse(tag, t('items.bad_tag'));
    const what = JSON.stringify([given, body]);
    if (!keys.has(what)) keys.set(what, api.newKey());
    const options = {body, headers: {'If-None-Match': '*'}};
    return (await sendOnce('PUT', addressOf(board, given), options, {key: keys.get(what), tries: 2})).item;
  }

  function explainProblem(problem) {
    if (problem.code === 'version_mismatch') {
      if (!item) return t('items.exists', {tag: tag.value.trim(), title: problem.item?.title ?? ''});
      if (!problem.version) return t('items.gone');
      ({version} = problem);
      return t('items.changed', {title: problem.item?.title ?? ''});
    }
    return sayOf(problem);
  }

  return openForm({
    title: item ? t('items.edit_title', {tag: item.tag}) : t('items.add'),
    fields: [
      !item && field(t('items.tag'), tag, {hint: t('items.tag_hint')}),
      field(t('items.title'), title, {hint: t('items.title_hint')}),
      h('fieldset', {}, h('legend', {}, t('items.attributes')), rows, proposals, more),
    ].filter(Boolean),
    yes: t(item ? 'items.save' : 'items.add_short'),
    send,
    explainProblem,
  });
}

/** A row of name and value. A value that is no text keeps its type unless it is changed. */
function attributeRow(name, value) {
  rowCount += 1;
  const shown = value === null ? '' : String(value);
  const nameInput = h('input', {name: 'attribute-name', value: name, list: 'attribute-names', maxlength: MOST_NAME,
    autocomplete: 'off', id: `attribute-name-${rowCount}`});
  const valueInput = h('input', {name: 'attribute-value', value: shown, maxlength: MOST_VALUE, autocomplete: 'off'});
  const row = h('div', {class: 'attribute-row', role: 'group', 'aria-label': name || t('items.attribute')},
    h('label', {}, t('items.attribute_name'), nameInput),
    h('label', {}, t('items.attribute_value'), valueInput),
    h('button', {type: 'button', 'aria-label': t('items.remove_attribute'), onclick() {
      const next = row.nextElementSibling ?? row.previousElementSibling;
      const after = next?.querySelector('input') ?? row.parentElement.parentElement.querySelector(':scope > button');
      row.remove();
      after.focus();
    }}, '✕'));
  row.given = () => ({name: nameInput.value.trim(), nameInput,
    value: valueInput.value === shown ? value : valueInput.value.trim()});
  return row;
}

function attributesOf(rows) {
  const found = {};
  for (const row of rows.children) {
    const {name, value, nameInput} = row.given();
    if (!name && (value === '' || value === null)) continue;
    if (!name) refuse(nameInput, t('items.no_name'));
    if (Object.hasOwn(found, name)) refuse(nameInput, t('items.name_twice', {name}));
    Object.defineProperty(found, name, {value, enumerable: true}); // also __proto__
  }
  const count = Object.keys(found).length;
  if (count > MOST_ATTRIBUTES) refuse(rows, t('items.too_many', {count, most: MOST_ATTRIBUTES}));
  return found;
}

/** What the page refuses by itself, in its own language. */
function refuse(place, detail) {
  place.focus();
  throw new api.Problem({status: 400, code: 'invalid_request', detail});
}
