// A form in a dialog. It closes when the server has accepted it; a refusal is shown inside, and nothing
// that was typed is lost.

import {byId, fill, h, setText} from './dom.js';
import {t} from './i18n.js';
import {explain} from './refusal_text.js';

/**
 * Opens a form. `fields` are elements, usually of field(); `send(form)` sends it, and its result is that
 * of openForm, or null if the user cancels. A Problem that `send` throws is shown in the dialog.
 * `explainProblem(problem)` may say more about some than refusal_text.js; null leaves it to that.
 */
export function openForm({title, fields, yes, isDanger = false, send, explainProblem = () => null}) {
  const dialog = byId('ask-dialog');
  const said = h('p', {class: 'said', role: 'alert'});
  const submit = h('button', {class: isDanger ? 'primary danger' : 'primary'}, yes);
  let result = null;
  const form = h('form', {
    async onsubmit(event) {
      event.preventDefault();
      if (submit.disabled) return;
      submit.disabled = true;
      setText(said, '');
      try {
        result = await send(form);
        dialog.close();
      } catch (problem) {
        if (problem.status === undefined) throw problem; // a bug of the page
        setText(said, explainProblem(problem) ?? sayOf(problem));
      } finally {
        submit.disabled = false;
      }
    },
  }, ...fields, said, h('div', {class: 'buttons'},
    submit, h('button', {type: 'button', onclick: () => dialog.close()}, t('dialog.cancel'))));
  fill(dialog, h('h2', {id: 'ask-title'}, title), form);
  dialog.showModal();
  (form.querySelector('input:not([type=hidden]), select, textarea') ?? submit).focus();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(result), {once: true});
  });
}

/** A labelled control: field(t('…'), h('input', …), {hint: '…'}). */
export function field(label, control, {hint = null} = {}) {
  return h('label', {class: 'field'}, label, control, hint && h('span', {class: 'hint'}, hint));
}

/** What a refusal says; an invalid request's detail names the field and what is allowed. */
export function sayOf(problem) {
  return ['invalid_request', 'already_exists', 'forbidden'].includes(problem.code) ? problem.detail : explain(problem);
}
