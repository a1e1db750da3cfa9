// Dialogs: they ask for the fields of an operation (reason, worker, step). Persons and reasons can be tapped.

import * as api from './api.js';
import {settingsOf} from './board_settings.js';
import {byId, fill, h, setText} from './dom.js';
import {draftOf, forgetDraft, keepDraft} from './drafts.js';
import {t} from './i18n.js';
import {peoplePicker} from './people_picker.js';
import {isTouched} from './pin_field.js';
import {reasonsFor, rememberReason} from './reasons.js';
import {OPERATIONS} from './transitions.js';

let turn = 0;

/**
 * Asks for the fields of an operation. Answers them, {} if there is nothing to ask, or null if the
 * user cancels. `items` are those of the page, whose reasons are offered.
 */
export async function ask(operation, {item = null, board, count = 1, items = []}) {
  const {fields: {reason, to, step}, is_step_earlier} = OPERATIONS.get(operation);
  turn += 1;
  const mine = turn;
  const isAnothers = api.watchPerson();
  const {steps: all, step_titles: titles} = step === 'none' ? {steps: []} : await api.get(`/api/boards/${board}`);
  if (mine !== turn || isAnothers()) return null; // asked for something else meanwhile, or by somebody else
  // Of several items each is refused by itself if the step is not before its own.
  const steps = is_step_earlier ? all.slice(0, item ? Math.max(0, all.indexOf(item.step)) : -1) : all;
  const asksStep = steps.length > 1 || step === 'required';
  if (reason === 'none' && to === 'none' && !asksStep) return {};
  const draft = draftOf(operation, item);
  const dialog = byId('ask-dialog');
  const fields = [];
  const picker = to === 'none' ? null
    : peoplePicker(board, {except: item?.holder?.id ?? null, chosen: draft.person});
  if (picker) fields.push(picker.element);
  const stepField = asksStep ? stepSelect() : null;
  if (stepField) fields.push(h('label', {}, t('ask.step'), stepField));
  const reasonField = reason === 'none' ? null : h('input', {name: 'reason', maxlength: '500', autocomplete: 'off',
    'aria-required': String(reason === 'required'), value: draft.reason});
  if (reasonField) {
    const offered = reasonsFor(operation, {ofBoard: settingsOf(board)?.reasons, items});
    fields.push(h('label', {}, t(`ask.reason_${reason}`), reasonField));
    if (offered.length > 0) {
      fields.push(h('div', {class: 'names reasons', role: 'group', 'aria-label': t('ask.reasons')},
        ...offered.map((each) => h('button', {type: 'button', class: 'name',
          onclick: () => { reasonField.value = each; form.requestSubmit(yes); }}, each))));
    }
  }

  function stepSelect() {
    const usual = draft.step ?? (is_step_earlier ? steps.at(-1) : item?.step);
    return h('select', {name: 'step'},
      ...steps.map((each) => h('option', {value: each, selected: each === usual}, titles[each])));
  }

  const said = h('p', {class: 'said', role: 'alert'});
  const yes = h('button', {class: `primary ${operation}`, value: 'yes'}, t(`operation.${operation}`));
  let given = null;
  const refuse = (text, field) => {
    setText(said, text);
    field.focus();
  };
  const form = h('form', {novalidate: true, async onsubmit(event) {
    event.preventDefault();
    if (yes.disabled) return;
    setText(said, '');
    yes.disabled = true;
    const person = picker && await picker.choice();
    yes.disabled = false;
    if (!dialog.open || !form.isConnected) return; // closed meanwhile
    const why = reasonField?.value.trim() ?? '';
    if (person?.refused) refuse(person.refused, picker.input);
    else if (reason === 'required' && !why) refuse(t('ask.reason_missing'), reasonField);
    else {
      given = {reason: why, step: stepField?.value, person};
      dialog.close();
    }
  }}, ...fields, said, h('div', {class: 'buttons'},
    yes,
    h('button', {type: 'button', onclick: () => dialog.close()}, t('dialog.cancel'))));
  fill(dialog, h('h2', {id: 'ask-title'}, item ? `${t(`operation.${operation}`)}: ${item.tag}`
    : `${t(`operation.${operation}`)} (${count})`), form);
  dialog.showModal();
  // On a touch screen a field with the focus brings the keyboard, which covers what can be tapped.
  (isTouched() && (picker || form.querySelector('.name')) ? form.querySelector('.name') ?? yes
    : form.querySelector('input, select') ?? yes).focus();
  await new Promise((resolve) => { dialog.addEventListener('close', resolve, {once: true}); });
  if (given === null) {
    forgetDraft(operation, item);
    return null;
  }
  keepDraft(operation, item, given);
  if (given.reason) rememberReason(operation, given.reason);
  return Object.fromEntries(Object.entries({reason: given.reason, step: given.step, to: given.person?.id})
    .filter(([, value]) => value));
}
