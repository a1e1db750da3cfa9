// A form in a dialog. It closes when the server has accepted it; a refusal is shown inside, and nothing
// that was typed is lost.

import {watchPerson} from './api.js';
import {byId, fill, h} from './dom.js';
import {t} from './i18n.js';
import {explain} from './refusal_text.js';
import {sendingForm} from './sending_form.js';

/**
 * Opens a form. `fields` are elements, usually of field(); `send(form)` sends it, and its result is that
 * of openForm, or null if the user cancels; what is on its way by then is waited for. A Problem that `send` throws is
 * shown in the dialog.
 * `explainProblem(problem)` may say more about some than refusal_text.js; null leaves it to that.
 */
export function openForm({title, fields, yes, no = t('dialog.cancel'), isDanger = false, send,
  explainProblem = () => null}) {
  const dialog = byId('ask-dialog');
  const isAnothers = watchPerson();
  let sending = null;
  const form = sendingForm({
    fields, yes, isDanger,
    buttons: [h('button', {type: 'button', onclick: () => dialog.close()}, no)],
    async send(sent) {
      sending = send(sent);
      await sending;
      if (form.isConnected) dialog.close(); // else it asks something else by now
    },
    explainProblem: (problem) => explainProblem(problem) ?? sayOf(problem),
  });
  fill(dialog, h('h2', {id: 'ask-title'}, title), form);
  dialog.showModal();
  (form.querySelector('input:not([type=hidden]), select, textarea') ?? form.querySelector('.primary')).focus();
  return new Promise((resolve) => {
    dialog.addEventListener('close', async () => {
      const result = await Promise.resolve(sending).catch(() => null); // a Problem was shown, or is of no interest
      resolve(isAnothers() ? null : result);
    }, {once: true});
  });
}

/** Asks a question; answers whether the user says yes. */
export async function confirmed({title, text = '', yes, no, isDanger = false}) {
  const answer = await openForm({title, fields: text ? [h('p', {}, text)] : [], yes, no, isDanger,
    send: async () => true});
  return answer === true;
}

/** A labelled control: field(t('…'), h('input', …), {hint: '…'}). */
export function field(label, control, {hint = null} = {}) {
  return h('label', {class: 'field'}, label, control, hint && h('span', {class: 'hint'}, hint));
}

/** What a refusal says; an invalid request's detail names the field and what is allowed. */
export function sayOf(problem) {
  return ['invalid_request', 'already_exists', 'forbidden'].includes(problem.code) ? problem.detail : explain(problem);
}
