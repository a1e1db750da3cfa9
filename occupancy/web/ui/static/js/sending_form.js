// A form that is sent once at a time; a refusal is shown in it, and nothing that was typed is lost.

import {h, setText} from './dom.js';

/**
 * `send(form)` sends it. A Problem that it throws is shown as `explainProblem(problem)` says. `buttons` follow the
 * one that sends, whose text is `yes`.
 */
export function sendingForm({fields, yes, isDanger = false, buttons = [], send, explainProblem}) {
  const said = h('p', {class: 'said', role: 'alert'});
  const submit = h('button', {class: isDanger ? 'primary danger' : 'primary'}, yes);
  const form = h('form', {
    async onsubmit(event) {
      event.preventDefault();
      if (submit.disabled) return;
      submit.disabled = true;
      setText(said, '');
      try {
        await send(form);
      } catch (problem) {
        if (problem.status === undefined) throw problem; // a bug of the page
        setText(said, explainProblem(problem));
      } finally {
        submit.disabled = false;
      }
    },
  }, ...fields, said, h('div', {class: 'buttons'}, submit, ...buttons));
  return form;
}
