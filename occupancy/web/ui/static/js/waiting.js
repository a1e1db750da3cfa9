// What waits for the network on this device, on every page: it is sent, and shown at the top of the page.

import * as api from './api.js';
import {announce, byId, fill, h, setText} from './dom.js';
import {moment, t, tn} from './i18n.js';
import {explain} from './refusal_text.js';
import {waitingStore} from './device_store.js';
import {WaitingOperations} from './waiting_operations.js';
import * as session from './session.js';

const SAID_MS = 15000;
const GIVEN_UP = new Set(['given_up', 'given_up_tried']);

export const waiting = new WaitingOperations({
  store: waitingStore,
  send: ({board, tag, operation, body, key}) => api.send(
    'POST', `/api/boards/${board}/items/${encodeURIComponent(tag)}/${operation}`,
    {body, headers: {'Idempotency-Key': key}},
  ),
  worker: () => session.current()?.worker ?? null,
  ask: () => session.load().catch(() => {}), // the next try asks again
  newKey: api.newKey,
});

const place = h('section', {class: 'waiting', 'aria-label': t('waiting.title'), hidden: true});
const said = h('p', {class: 'said', role: 'status'});
let saying;
let keptFor = null; // the worker of the kept board that the page shows

/** Starts sending and showing; every page calls it once. */
export async function startWaiting() {
  byId('main').prepend(place);
  waiting.onChange((done) => {
    if (done) announce(t('waiting.done', textsOf(done)));
    draw();
  });
  session.onChange(draw);
  addEventListener('online', () => waiting.deliver());
  await waiting.start();
}

/** The server has said who is signed in. */
export function deliverWaiting() {
  keptFor = null;
  draw();
  waiting.deliver();
}

/** The page shows the kept board of a worker, as whom nothing is sent. */
export function showWaitingOf(worker) {
  keptFor = worker.id;
  draw();
}

/** '{operation} waits for the network since 9:17', and a button to take it back. */
export function waitingLine(record, isTagged = false) {
  return h('div', {class: 'waits'},
    h('p', {}, isTagged && h('strong', {}, `${record.tag}: `), t('waiting.row', textsOf(record))),
    h('button', {type: 'button', 'data-name': 'cancel-waiting', 'data-key': record.id,
      'aria-label': t('waiting.cancel_tag', textsOf(record)),
      onclick: () => cancel(record)}, t('waiting.cancel')));
}

async function cancel(record) {
  const isCertain = await waiting.cancel(record.id);
  setText(said, t(isCertain ? 'waiting.cancelled' : 'waiting.cancelled_late', textsOf(record)));
  draw();
  clearTimeout(saying);
  saying = setTimeout(() => { setText(said, ''); draw(); }, SAID_MS);
}

function draw() {
  const me = session.current()?.worker.id ?? keptFor;
  const mine = waiting.records.filter((each) => each.worker.id === me);
  const others = new Map(); // by worker; their refusals are for them only
  for (const each of waiting.records) {
    if (each.worker.id === me || each.refused) continue;
    others.set(each.worker.id, [...others.get(each.worker.id) ?? [], each]);
  }
  place.hidden = mine.length === 0 && others.size === 0 && said.textContent === '';
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  fill(
    place,
    ...mine.map((each) => (each.refused ? refusal(each) : waitingEntry(each))),
    ...[...others.values()].map(ofAnother),
    said,
  );
  if (focused) place.querySelector(`[data-key="${focused}"]`)?.focus({preventScroll: true});
}

function waitingEntry(record) {
  return h('div', {class: 'waiting-entry'}, waitingLine(record, true));
}

function refusal(record) {
  const {refused} = record;
  const why = GIVEN_UP.has(refused.code) ? t(`waiting.${refused.code}`) : explain(refused);
  const now = refused.item?.holder ? t('waiting.now_held', {holder: refused.item.holder.name})
    : refused.item ? t('waiting.now', {state: t(`state.${refused.item.state}`)}) : '';
  return h('div', {class: 'waiting-entry refused', role: 'alert'},
    h('p', {}, h('strong', {}, `${record.tag}: `),
      [t('waiting.refused', textsOf(record)), why, now].filter(Boolean).join(' ')),
    h('button', {type: 'button', 'data-key': record.id, onclick: () => waiting.close(record.id),
      'aria-label': t('waiting.close_tag', textsOf(record))}, t('notice.close')));
}

/** Others see whose operations wait, and not for what: they may not be allowed to see the board. */
function ofAnother(records) {
  const {name} = records[0].worker;
  return h('div', {class: 'waiting-entry'},
    h('p', {}, tn('waiting.of_other', records.length, {name})),
    h('button', {type: 'button', onclick: () => session.openDialog()}, t('session.sign_in')));
}

function textsOf({operation, tag, atMs}) {
  return {operation: t(`operation.${operation}`), tag, since: moment(atMs)};
}
