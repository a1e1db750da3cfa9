// Dialogs for the fields of an operation (a reason, a worker, a step), with recent values to touch.

import * as api from './api.js';
import {byId, fill, h} from './dom.js';
import {t} from './i18n.js';

const REASONS = 'occupancy-reasons';
const MOST_REASONS = 8;

const NEEDS = {
  pause: {reason: 'optional'},
  'force-release': {reason: 'required'},
  block: {reason: 'required'},
  reassign: {reason: 'optional', to: true},
  reopen: {step: true},
};

/**
 * Asks for the fields of an operation. Returns them, {} if there are none, or null if the user
 * cancels.
 */
export async function ask(operation, {item = null, board, count = 1}) {
  const needs = NEEDS[operation];
  if (!needs) return {};
  const steps = needs.step ? (await api.get(`/api/boards/${board}`)).steps : [];
  if (needs.step && steps.length < 2) return {};
  const dialog = byId('ask-dialog');
  const fields = [];
  if (needs.to) {
    fields.push(h('label', {}, t('ask.to'), h('input', {name: 'to', required: true,
      autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false'})));
  }
  if (needs.step) {
    fields.push(h('label', {}, t('ask.step'), h('select', {name: 'step'},
      ...steps.map((step) => h('option', {selected: step === item?.step}, step)))));
  }
  if (needs.reason) {
    const input = h('input', {name: 'reason', maxlength: '500', required: needs.reason === 'required',
      autocomplete: 'off'});
    fields.push(h('label', {}, t(`ask.reason_${needs.reason}`), input));
    const recent = read(operation);
    if (recent.length > 0) {
      fields.push(h('div', {class: 'names', role: 'group', 'aria-label': t('ask.recent')},
        ...recent.map((reason) => h('button', {type: 'button', class: 'name',
          onclick: () => { input.value = reason; form.requestSubmit(yes); }}, reason))));
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
    // The browser stores nothing: the reason is typed each time.
  }
}
