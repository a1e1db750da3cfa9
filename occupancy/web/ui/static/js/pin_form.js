// The form for the own PIN. The server opens another session in place of the present one.

import * as api from './api.js';
import {h, setText} from './dom.js';
import {t} from './i18n.js';
import {pinField, whyNoPin} from './pin_field.js';
import {explain} from './refusal_text.js';
import * as session from './session.js';

export function pinForm() {
  const {worker} = session.current();
  const now = pinField(t('account.pin_now'), {required: false});
  const fresh = pinField(t('pin.new'), {name: 'new_pin', autocomplete: 'new-password', required: false});
  const again = pinField(t('account.pin_again'), {name: 'again', autocomplete: 'new-password', required: false});
  const said = h('p', {class: 'said', role: 'alert'});
  const done = h('p', {class: 'done-said', role: 'status'});
  const submit = h('button', {class: 'primary'}, t('account.change'));
  const refuse = (text, {input}) => {
    setText(said, text);
    input.focus();
  };

  async function change() {
    const pin = now.input.value;
    const body = {new_pin: fresh.input.value, ...(pin ? {pin} : {})};
    const why = whyNoPin(body.new_pin, worker.id);
    if (why) {
      refuse(t(why), fresh);
      return;
    }
    if (again.input.value !== body.new_pin) {
      refuse(t('account.pin_differs'), again);
      return;
    }
    try {
      await session.adopt(api.send('PUT', '/api/session/pin', {body}));
    } catch (problem) {
      if (problem.status === undefined) throw problem; // a bug of the page
      if (problem.code === 'forbidden') refuse(t('account.pin_forbidden'), now);
      else if (problem.code === 'invalid_request' && !pin) refuse(t('account.pin_missing'), now);
      else if (problem.isUncertain) setText(said, t('account.pin_uncertain'));
      else setText(said, explain(problem));
      return;
    }
    for (const {input} of [now, fresh, again]) input.value = '';
    setText(done, t('account.changed'));
  }

  return h('form', {novalidate: true, async onsubmit(event) {
    event.preventDefault();
    if (submit.disabled) return;
    submit.disabled = true;
    setText(said, '');
    setText(done, '');
    await change().finally(() => { submit.disabled = false; });
  }},
  h('input', {type: 'text', name: 'username', autocomplete: 'username', class: 'unseen', tabindex: '-1',
    'aria-hidden': 'true', value: worker.id}),
  now.element, h('p', {class: 'hint'}, t('account.pin_now_hint')),
  fresh.element, h('p', {class: 'hint'}, t('account.pin_how')),
  again.element, said, done, h('div', {class: 'buttons'}, submit));
}
