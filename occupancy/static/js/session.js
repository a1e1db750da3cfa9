// Who is signed in: shown at the top of every page, switched in one step, ended after some time.
//
// Names that have signed in on this device are offered to touch; that list stays on the device.
// On a device with a keyboard the id can be typed. A session ends on the server after `idle_s`
// without use; the page announces it a minute before, and signs out when nobody answers.

import * as api from './api.js';
import {announce, byId, fill, h, setText} from './dom.js';
import {t} from './i18n.js';

const RECENT = 'occupancy-recent';
const MOST_RECENT = 12;
const WARNING_S = 60;
const changed = new EventTarget();
const others = 'BroadcastChannel' in globalThis ? new BroadcastChannel('occupancy-session') : null;

let session = null;
let lastTouched = Date.now();
let lastTold = Date.now();
let lastShared = 0;

/** The session ({worker, csrf_token, idle_s …}), or null while nobody is signed in. */
export function current() {
  return session;
}

const RANKS = {observer: 1, worker: 2, supervisor: 3, admin: 4};

/** Whether who is signed in has a role, or a higher one. */
export function may(role) {
  return session !== null && RANKS[session.worker.role] >= RANKS[role];
}

/** Calls `listener` with the session whenever somebody else is signed in, or nobody. */
export function onChange(listener) {
  changed.addEventListener('change', () => listener(session));
}

/** Asks the server who is signed in; nobody is an answer, an unreachable server is a Problem. */
export async function load() {
  let found = null;
  try {
    found = await api.get('/api/session');
  } catch (problem) {
    if (problem.status !== 401) throw problem;
  }
  set(found);
  return found;
}

function set(found) {
  const before = session?.worker.id;
  session = found;
  api.setCsrfToken(found?.csrf_token ?? null);
  lastTouched = Date.now();
  showName();
  if (before !== found?.worker.id) changed.dispatchEvent(new Event('change'));
}

function showName() {
  const place = byId('who');
  if (session) {
    fill(
      place,
      h('button', {type: 'button', class: 'who', onclick: () => openDialog(), 'aria-haspopup': 'dialog'},
        h('strong', {}, session.worker.name), ' ',
        h('span', {class: 'soft'}, t(`role.${session.worker.role}`))),
    );
  } else {
    fill(
      place,
      h('button', {type: 'button', class: 'primary', onclick: () => openDialog()}, t('session.sign_in')),
    );
  }
}

function recent() {
  try {
    return JSON.parse(localStorage.getItem(RECENT) ?? '[]');
  } catch {
    return [];
  }
}

function remember({id, name}) {
  const list = [{id, name}, ...recent().filter((each) => each.id !== id)].slice(0, MOST_RECENT);
  try {
    localStorage.setItem(RECENT, JSON.stringify(list));
  } catch {
    // A browser that keeps nothing: the id is typed each time.
  }
}

async function signIn(worker, pin) {
  set(await api.send('POST', '/api/session', {body: {worker, pin}}));
  remember(session.worker);
  others?.postMessage('changed');
  announce(t('session.signed_in', {name: session.worker.name}));
}

export async function signOut(reason = 'session.signed_out') {
  try {
    await api.send('DELETE', '/api/session');
  } catch (problem) {
    if (problem.status !== 401) throw problem; // it had ended already
  }
  set(null);
  others?.postMessage('changed');
  announce(t(reason));
}

/** Opens the dialog to sign in, to switch, or to sign out. Resolves when it is closed. */
export function openDialog() {
  const dialog = byId('session-dialog');
  const said = h('p', {class: 'said', role: 'alert'});
  const worker = h('input', {name: 'worker', required: true, autocomplete: 'username',
    autocapitalize: 'off', spellcheck: 'false'});
  const pin = h('input', {name: 'pin', type: 'password', required: true,
    autocomplete: 'current-password'});
  const choose = (id) => {
    worker.value = id;
    pin.focus();
  };
  const names = recent().filter((each) => each.id !== session?.worker.id).map((each) => (
    h('button', {type: 'button', class: 'name', onclick: () => choose(each.id)},
      each.name, ' ', h('span', {class: 'soft'}, each.id))
  ));
  const submit = h('button', {class: 'primary'}, t('session.sign_in'));
  const form = h('form', {
    async onsubmit(event) {
      event.preventDefault();
      submit.disabled = true;
      try {
        await signIn(worker.value.trim(), pin.value);
        dialog.close();
      } catch (problem) {
        setText(said, problem.code === 'unreachable' ? t('session.unreachable')
          : problem.code === 'rate_limited' ? t('session.wait', {seconds: problem.retry_after})
            : t('session.wrong'));
        pin.value = '';
        pin.focus();
      }
      submit.disabled = false;
    },
  },
  h('label', {}, t('session.worker'), worker),
  h('label', {}, t('session.pin'), pin),
  said,
  h('div', {class: 'buttons'}, submit,
    h('button', {type: 'button', onclick: () => dialog.close()}, t('dialog.cancel'))));
  fill(
    dialog,
    h('h2', {id: 'session-title'}, session ? t('session.switch') : t('session.sign_in')),
    names.length > 0 && h('div', {class: 'names', role: 'group', 'aria-label': t('session.names')}, ...names),
    form,
    session && h('div', {class: 'buttons leave'},
      h('button', {type: 'button', async onclick() {
        try {
          await signOut();
          dialog.close();
        } catch (problem) { // still signed in, and whoever walks away now must know it
          setText(said, problem.code === 'unreachable' ? t('session.unreachable') : problem.message);
        }
      }}, t('session.sign_out', {name: session.worker.name}))),
  );
  dialog.showModal();
  (names[0] ?? worker).focus();
  return new Promise((resolve) => { dialog.addEventListener('close', resolve, {once: true}); });
}

// Idle: whoever touches the page is there; the server is told so now and then, because reading a
// page is no request.

function touched() {
  lastTouched = Date.now();
  if (lastTouched - lastShared > 1000) {
    lastShared = lastTouched;
    others?.postMessage('touched'); // else a tab that nobody looks at would sign this one out
  }
  if (session?.idle_s && lastTouched - lastTold > 250 * session.idle_s) {
    lastTold = lastTouched;
    api.get('/api/boards').catch(() => {}); // any request that counts as a use
  }
}

async function tick() {
  if (!session?.idle_s) return;
  const left = session.idle_s - (Date.now() - lastTouched) / 1000;
  const warning = Math.min(WARNING_S, session.idle_s / 3);
  const notice = byId('idle-notice');
  notice.hidden = left > warning;
  if (left <= 0) {
    notice.hidden = true;
    await signOut('session.idle_out').catch(() => {});
  } else if (left <= warning) {
    setText(notice, t('session.idle_soon', {seconds: Math.ceil(left / 10) * 10}));
  }
}

for (const kind of ['pointerdown', 'keydown']) {
  document.addEventListener(kind, touched, {passive: true});
}
setInterval(tick, 1000);
others?.addEventListener('message', ({data}) => {
  if (data === 'touched') lastTouched = Date.now();
  else load().catch(() => {});
});
