// The session: shown at the top of every page, switched in one step, ended when idle (idle.js).
//
// The dialog says who is signed in, and offers the names that have signed in on this device; that list
// stays on the device. On a device with a keyboard the id can be typed. Only the server decides whether a
// session has ended.

import * as api from './api.js';
import {announce, byId, fill, h, setText} from './dom.js';
import {t} from './i18n.js';
import {noteTouch, untouchedMs, watchIdle} from './idle.js';
import {keepOnly} from './kept_board.js';
import {recallJson, remember} from './memory.js';
import {isTouched, pinField} from './pin_field.js';
import {explain} from './refusal_text.js';

const RECENT = 'occupancy-recent';
const MOST_RECENT = 12;
const changed = new EventTarget();
const others = 'BroadcastChannel' in globalThis ? new BroadcastChannel('occupancy-session') : null;

let session = null;
let isAnswered = false;
let turn = 0; // of what is asked of the server, or done to the session
let latest = 0; // the turn of what is known

/** The session ({worker, csrf_token, idle_s …}), or null while nobody is signed in. */
export function current() {
  return session;
}

/** Whether the server has said who is signed in, since the page was opened. */
export const isKnown = () => isAnswered;

/** How long the session lasts without use from now on, in ms; null: without such an end. */
export function idleLeftMs() {
  return session?.idle_s ? 1000 * session.idle_s - untouchedMs() : null;
}

const RANKS = {observer: 1, worker: 2, supervisor: 3, admin: 4};

/**
 * Whether the signed-in worker has a role, or a higher one; by a badge also one that needs the PIN, for which
 * the server asks.
 */
export function may(role) {
  return session !== null && RANKS[session.role_with_pin ?? session.worker.role] >= RANKS[role];
}

/** Whether the operations of a role are shown: a worker's always, the others' with that role. */
export function isOffered(role) {
  return RANKS[role] <= RANKS.worker || may(role);
}

/** Calls `listener` with the session whenever somebody else is signed in, or nobody. */
export function onChange(listener) {
  changed.addEventListener('change', () => listener(session));
}

/** Asks the server for the session; null if there is none. An unreachable server is a Problem. */
export async function load() {
  let found = null;
  turn += 1;
  const mine = turn;
  try {
    found = await api.get('/api/session');
  } catch (problem) {
    if (problem.status !== 401) throw problem;
  }
  if (mine < latest) return session; // the answer is about the session of before
  latest = mine;
  set(found);
  return found;
}

/** Goes on with the session that the answer to a request opens in place of the present one. */
export async function adopt(asked) {
  const isAnothers = api.watchPerson();
  const found = await asked;
  if (isAnothers()) await load(); // only the server knows whose cookie the browser has by now
  else change(found);
  others?.postMessage('changed');
}

/** What was asked of the server before is void. */
function change(found) {
  turn += 1;
  latest = turn;
  set(found);
}

function set(found) {
  const before = session?.worker.id;
  if (session?.csrf_token !== found?.csrf_token) noteTouch(); // asking is no touch
  session = found;
  isAnswered = true;
  keepOnly(found?.worker.id ?? null);
  api.setSession(found?.csrf_token ?? null, found?.worker.id ?? null);
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
  return recallJson('localStorage', RECENT) ?? [];
}

function rememberName({id, name}) {
  const list = [{id, name}, ...recent().filter((each) => each.id !== id)].slice(0, MOST_RECENT);
  remember('localStorage', RECENT, JSON.stringify(list));
}

async function openSession(body) {
  await adopt(api.send('POST', '/api/session', {body}));
  if (session) rememberName(session.worker);
}

async function signIn(worker, pin) {
  await openSession({worker, pin});
  if (session) announce(t('session.signed_in', {name: session.worker.name}));
}

/**
 * Signs in the worker of a scanned badge, at a paired station. `board` is the page's: the code of one of
 * its items is refused as 'already_exists', because an item goes before a badge.
 */
export async function useBadge(badge, board = null) {
  await openSession(board === null ? {badge} : {badge, board});
}

export async function signOut(reason = 'session.signed_out') {
  const isAnothers = api.watchPerson();
  try {
    await api.send('DELETE', '/api/session');
  } catch (problem) {
    if (problem.status !== 401) throw problem; // it had ended already
  }
  if (session?.station || isAnothers()) await load(); // the paired station stays
  else change(null);
  others?.postMessage('changed');
  announce(t(reason));
}

/** The reason of a failed sign-in. It blames the PIN only if the server does. */
export function explainSignIn(problem) {
  if (problem.code === 'unauthenticated') return t('session.wrong');
  if (problem.code === 'unreachable') return t('session.unreachable');
  if (problem.code === 'rate_limited') return t('session.wait', {seconds: problem.retry_after});
  // On a board, the texts of these codes are about an item, or a role.
  if (['forbidden', 'csrf'].includes(problem.code)) return t('session.refused', {detail: problem.detail});
  return explain(problem);
}

/** Opens the dialog to sign in, to switch, or to sign out. Resolves when it is closed. */
export function openDialog() {
  const dialog = byId('session-dialog');
  const said = h('p', {class: 'said', role: 'alert'});
  const isPerson = session !== null && session.means !== 'station';
  const worker = h('input', {name: 'worker', required: true, autocomplete: 'username',
    autocapitalize: 'off', spellcheck: 'false'});
  const known = recent();
  const {element: pinPart, input: pin} = pinField(t('session.pin'), {
    hasPad: Boolean(session?.station) || known.length > 1}); // on a device that several people use
  const choose = (id) => {
    worker.value = id;
    pin.focus();
  };
  const names = known.filter((each) => each.id !== session?.worker.id).map((each) => (
    h('button', {type: 'button', class: 'name', onclick: () => choose(each.id)},
      each.name, ' ', h('span', {class: 'soft'}, each.id))
  ));
  const submit = h('button', {class: 'primary'}, t('session.sign_in'));
  const form = h('form', {
    async onsubmit(event) {
      event.preventDefault();
      if (submit.disabled) return; // a second touch of the pad
      submit.disabled = true;
      try {
        await signIn(worker.value.trim(), pin.value);
        if (form.isConnected) dialog.close();
      } catch (problem) {
        setText(said, explainSignIn(problem));
        if (problem.isUncertain) {
          submit.focus(); // the PIN may be right
        } else {
          pin.value = '';
          pin.focus();
        }
      }
      submit.disabled = false;
    },
  },
  h('label', {}, t('session.worker'), worker),
  pinPart,
  said,
  h('div', {class: 'buttons'}, submit,
    h('button', {type: 'button', onclick: () => dialog.close()}, t('dialog.cancel'))));
  const account = isPerson && h('a', {class: 'button', href: '/account'}, t('page.account'));
  fill(
    dialog,
    h('h2', {id: 'session-title'}, isPerson ? t('session.signed_in', {name: session.worker.name})
      : t('session.sign_in')),
    isPerson && h('div', {class: 'buttons'}, account, h('button', {type: 'button', async onclick() {
      try {
        await signOut();
        dialog.close();
      } catch (problem) { // still signed in, which the user must know before leaving
        setText(said, explainSignIn(problem));
      }
    }}, t('session.sign_out', {name: session.worker.name}))),
    isPerson && h('h3', {}, t('session.switch')),
    names.length > 0 && h('div', {class: 'names', role: 'group', 'aria-label': t('session.names')}, ...names),
    form,
  );
  dialog.showModal();
  // On a touch screen a field with the focus brings the keyboard, which covers the rest.
  (names[0] ?? (isTouched() && account ? account : worker)).focus();
  return new Promise((resolve) => { dialog.addEventListener('close', resolve, {once: true}); });
}

const ask = () => load().catch(() => {}); // unreachable: the session of before goes on

watchIdle({
  idleS: () => session?.idle_s,
  end: () => signOut('session.idle_out'),
  ask,
  share: () => others?.postMessage('touched'),
});
others?.addEventListener('message', ({data}) => {
  if (data === 'touched') noteTouch();
  else ask();
});
