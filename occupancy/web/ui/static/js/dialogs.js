// Dialogs: they ask for the fields of an operation (reason, worker, step) and offer recent reasons.

import * as api from './api.js';
import {byId, fill, h} from './dom.js';
import {t} from './i18n.js';
import {OPERATIONS} from './transitions.js';

const REASONS = 'occupancy-reasons';
const MOST_REASONS = 8;

/**
 * Asks for the fields of an operation. Answers them, {} if there is nothing to ask, or null if the
 * user cancels.
 */
export async function ask(operation, {item = null, board, count = 1}) {
  const {fields: {reason, to, step}, is_step_earlier} = OPERATIONS.get(operation);
  const {steps: all, step_titles: titles} = step === 'none' ? {steps: []} : await api.get(`/api/boards/${board}`);
  // Of several items each is refused by itself if the step is not before its own.
  const steps = is_step_earlier ? all.slice(0, item ? Math.max(0, all.indexOf(item.step)) : -1) : all;
  const asksStep = steps.length > 1 || step === 'required';
  if (reason === 'none' && to === 'none' && !asksStep) return {};
  const dialog = byId('ask-dialog');
  const fields = [];
  if (to !== 'none') {
    fields.push(h('label', {}, t('ask.to'), h('input', {name: 'to', required: true,
      autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false'})));
  }
  if (asksStep) {
    fields.push(h('label', {}, t('ask.step'), h('select', {name: 'step'},
      ...steps.map((each) => h('option', {value: each,
        selected: is_step_earlier ? each === steps.at(-1) : each === item?.step}, titles[each])))));
  }
  if (reason !== 'none') {
    const input = h('input', {name: 'reason', maxlength: '500', required: reason === 'required',
      autocomplete: 'off'});
    fields.push(h('label', {}, t(`ask.reason_${reason}`), input));
    const recent = read(operation);
    if (recent.length > 0) {
      fields.push(h('div', {class: 'names', role: 'group', 'aria-label': t('ask.recent')},
        ...recent.map((each) => h('button', {type: 'button', class: 'name',
          onclick: () => { input.value = each; form.requestSubmit(yes); }}, each))));
    }
  }
  const yes = h('button', {class: `primary ${operation}`, value: 'yes'}, t(`operation.${operation}`));
  const form = h('form', {method: 'dialog'}, ...fields, h('div', {class: 'buttons'},
    yes,
    h('button', {type: 'button', onclick: () => dialog.close('no')}, t('dialog.cancel'))));
  fill(dialog, h('h2', {id: 'ask-title'}, item ? `${t(`operation.${operation}`)}: ${item.tag}`
    : `${t(`operation.${operation}`)} (${count})`), form);
  dialog.returnValue = 'no';
  dialog.showModal();
  (form.querySelector('input, select') ?? form.querySelector('button')).focus();
  await new Promise((resolve) => { dialog.addEventListener('close', resolve, {once: true}); });
  if (dialog.returnValue !== 'yes') return null;
  const given = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()])
    .filter(([, value]) => value));
  if (given.reason) remember(operation, given.reason);
  return given;
}

function read(operation) {
  try {
    return JSON.parse(localStorage.getItem(REASONS) ?? '{}')[operation] ?? [];
  } catch {
    return [];
  }
}

function remember(operation, reason) {
  try {
    const all = JSON.parse(localStorage.getItem(REASONS) ?? '{}');
    const list = [reason, ...read(operation).filter((each) => each !== reason)].slice(0, MOST_REASONS);
    localStorage.setItem(REASONS, JSON.stringify({...all, [operation]: list}));
  } catch {
    // The browser stores nothing: the user types the reason each time.
  }
}
