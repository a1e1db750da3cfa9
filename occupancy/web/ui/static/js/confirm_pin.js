// The PIN on request: at a station a badge signs in, and some requests need the PIN besides. Whichever
// request of any page is refused for that, the dialog asks for it, over other dialogs, and the request
// is sent again (api.js).

import * as api from './api.js';
import {elapsed} from './clock.js';
import {byId, fill, h} from './dom.js';
import {t} from './i18n.js';
import {pinField} from './pin_field.js';
import {sendingForm} from './sending_form.js';
import * as session from './session.js';

const FIELDS_OF_TEXT = 'textarea, input:not([type="checkbox"], [type="radio"])';

let asking = null;
let declinedMs = -Infinity;
let actedMs = 0;

// Typing is no wish for another dialog, which would take the focus away in the midst of a word.
function acted({target, key}) {
  if (key === 'Enter' || !target.closest?.(FIELDS_OF_TEXT)) actedMs = elapsed();
}

for (const kind of ['pointerdown', 'keydown']) {
  document.addEventListener(kind, acted, {capture: true, passive: true});
}

/** Asks for the PIN; answers whether it was right. Requests that are refused together ask once. */
export function askForPin(method) {
  // A page reads by itself, too. After a decline only a touch or a key of the user opens the dialog again.
  if (method === 'GET' && actedMs <= declinedMs) return Promise.resolve(false);
  asking ??= ask().finally(() => { asking = null; });
  return asking;
}

/** Closes the dialog: another worker has signed in. */
export function stopAsking() {
  if (byId('pin-dialog').open) byId('pin-dialog').close();
}

async function ask() {
  const worker = session.current()?.worker;
  if (!worker) return false;
  const dialog = byId('pin-dialog');
  const {element, input} = pinField(t('session.pin'), {hasPad: true});
  let isConfirmed = false;
  const form = sendingForm({
    fields: [element],
    yes: t('pin.confirm'),
    buttons: [h('button', {type: 'button', onclick: () => dialog.close()}, t('dialog.cancel'))],
    async send() {
      await session.adopt(api.send('POST', '/api/session/confirm', {body: {pin: input.value}}));
      isConfirmed = true;
      if (form.isConnected) dialog.close(); // else it asks something else by now
    },
    explainProblem(problem) {
      if (problem.status === 401) { // the session has ended meanwhile
        dialog.close();
        session.load().catch(() => {}); // whatever the page asks next says it too
        return '';
      }
      if (!problem.isUncertain) input.value = '';
      input.focus();
      return problem.code === 'forbidden' ? t('pin.confirm_wrong') : session.explainSignIn(problem);
    },
  });
  fill(dialog, h('h2', {id: 'pin-title'}, t('pin.confirm_title')),
    h('p', {}, t('pin.confirm_why', {name: worker.name})), form);
  dialog.showModal();
  input.focus();
  await new Promise((resolve) => { dialog.addEventListener('close', resolve, {once: true}); });
  fill(dialog); // no PIN stays in the page
  if (!isConfirmed) declinedMs = elapsed();
  return isConfirmed;
}
