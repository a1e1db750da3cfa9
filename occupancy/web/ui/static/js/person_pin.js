// The form that sets somebody's PIN.

import * as api from './api.js';
import {h, setText} from './dom.js';
import {field, openForm} from './form_dialog.js';
import {t} from './i18n.js';
import {explainPerson, pinRefusal} from './people_text.js';
import {randomPin} from './pin_rule.js';

/** Asks for a PIN and sets it; resolves to the person as they are then, or null. */
export function askPin({id, name}) {
  const input = h('input', {type: 'password', inputmode: 'numeric', autocomplete: 'new-password', required: true,
    maxlength: '200', spellcheck: 'false', autocapitalize: 'off',
    oninput: () => input.setCustomValidity('')});
  const show = (isShown) => {
    input.type = isShown ? 'text' : 'password';
    showing.setAttribute('aria-pressed', String(isShown));
    setText(showing, t(isShown ? 'people.pin.hide' : 'people.pin.show'));
  };
  const showing = h('button', {type: 'button', 'aria-pressed': 'false', onclick: () => show(input.type === 'password')},
    t('people.pin.show'));
  const letters = h('button', {type: 'button', 'aria-pressed': 'false', onclick() {
    const isPhrase = input.inputMode === 'numeric';
    input.inputMode = isPhrase ? 'text' : 'numeric';
    letters.setAttribute('aria-pressed', String(isPhrase));
    input.focus();
  }}, t('people.pin.letters'));
  const suggest = h('button', {type: 'button', onclick() {
    input.value = randomPin(id);
    input.setCustomValidity('');
    show(true);
  }}, t('people.pin.suggest'));
  return openForm({
    title: t('people.pin.title', {name}),
    fields: [
      h('p', {class: 'soft'}, t('people.pin.ends')),
      field(t('session.pin'), input, {hint: t('people.pin.rule')}),
      h('div', {class: 'buttons'}, showing, letters, suggest),
    ],
    yes: t('people.pin.set'),
    explainProblem: explainPerson,
    async send() {
      const refused = pinRefusal(input.value, id);
      if (refused) {
        input.setCustomValidity(refused);
        input.reportValidity();
        throw new api.Problem({code: 'pin', status: 400, detail: refused});
      }
      return (await api.send('PUT', `/api/workers/${encodeURIComponent(id)}`, {body: {pin: input.value}})).worker;
    },
  });
}
