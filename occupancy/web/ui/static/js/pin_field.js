// PIN fields: digits come first, because most PINs are digits; a switch brings the letters for phrases.
//
// On a touch screen that several people share, the field has a pad of large keys of its own. A keyboard
// and a scanner go on writing into the field.

import {h} from './dom.js';
import {t} from './i18n.js';
import {pinProblem} from './pin_rule.js';

export function isTouched() {
  return globalThis.matchMedia?.('(any-pointer: coarse)').matches ?? false;
}

/** A field: {element, input}. `hasPad` gives it the pad where fingers touch; its OK sends the form. */
export function pinField(label, {
  name = 'pin', autocomplete = 'current-password', required = true, hasPad = false,
} = {}) {
  const input = h('input', {name, type: 'password', inputmode: 'numeric', autocomplete, required});
  const pad = hasPad && isTouched() ? padOf(input) : null;
  const element = h('div', {class: 'pin-field'}, h('label', {}, label, input),
    isTouched() && letterSwitch(input, pad), pad);
  return {element, input};
}

/** The switch between digits and letters, which hides the field's pad. */
function letterSwitch(input, pad) {
  const digits = pad ? 'none' : 'numeric'; // the pad is there instead of the device's keyboard
  input.inputMode = digits;
  const button = h('button', {type: 'button', class: 'letters', 'aria-pressed': 'false', onclick() {
    const isLetters = input.inputMode !== 'text';
    input.inputMode = isLetters ? 'text' : digits;
    button.setAttribute('aria-pressed', String(isLetters));
    if (pad) pad.hidden = isLetters;
    input.blur(); // else the device keeps its present keyboard
    input.focus();
  }}, t('pin.letters'));
  return button;
}

function padOf(input) {
  const write = (value) => {
    input.value = value;
    input.dispatchEvent(new Event('input', {bubbles: true}));
    input.focus();
  };
  const key = (label, act, properties = {}) => (
    h('button', {type: 'button', tabindex: '-1', onclick: act, ...properties}, label));
  const digit = (value) => key(value, () => write(input.value + value));
  return h('div', {class: 'pad', role: 'group', 'aria-label': t('pin.pad'),
    // The focus stays in the field, where a keyboard and a scanner write.
    onpointerdown: (event) => event.preventDefault(), onmousedown: (event) => event.preventDefault()},
  ...[...'123456789'].map(digit),
  key('⌫', () => write(input.value.slice(0, -1)), {'aria-label': t('pin.delete')}),
  digit('0'),
  key(t('pin.ok'), () => input.form.requestSubmit(), {class: 'primary'}));
}

/** The key of the text that says why a new PIN is not allowed, or null. */
export function whyNoPin(pin, worker) {
  const found = pinProblem(pin, worker);
  if (found === null) return null;
  return found === 'length' ? 'pin.refused' : 'pin.obvious';
}
