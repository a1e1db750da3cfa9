// One operation from a touch to its notice: ask for its fields, send it, tell the result.

import {ask} from './dialogs.js';
import {forgetDraft} from './drafts.js';
import {t} from './i18n.js';
import {explain} from './refusal_text.js';
import {OPERATIONS, UNDO} from './transitions.js';

/**
 * Carries out an operation on an item; a cancelled dialog ends it silently. Never throws. `ends`
 * (waiting_ends.js) lets the holder's own end of the work wait for the server.
 */
export async function operate(operation, item, {board, actions, notices, ends}) {
  const {tag} = item;
  let fields;
  try {
    fields = await ask(operation, {item, board, items: actions.model.items.values()});
  } catch (problem) {
    notices.say(`${tag}: ${explain(problem)}`, {kind: 'refused', tag});
    return;
  }
  if (fields === null) return;
  if (!ends.mayWait(operation, item)) {
    await send(operation, tag, fields, {actions, notices});
    return;
  }
  const body = {...fields, epoch: item.epoch}; // sent again later, it must not end another hold
  if (!ends.isOffline()) {
    await send(operation, tag, body, {actions, notices, wait: (key) => ends.add(operation, tag, body, key)});
  } else if (!await ends.add(operation, tag, body)) {
    notices.say(`${tag}: ${t('live.cannot')}`, {kind: 'refused', tag});
  }
}

/**
 * Sends an operation, unless one is on its way, and tells the result, with a button to take it back where that
 * is possible. `wait` is that of Actions.run().
 */
async function send(operation, tag, fields, {actions, notices, wait = null}) {
  if (actions.sending.has(tag)) return;
  // From before the server's clock counts, so the button is gone before the server refuses.
  const untilMs = performance.now() + 1000 * UNDO.within_s;
  const result = await actions.run(operation, tag, fields, {wait});
  if (result === 'left') return;
  if (result === 'refused') notices.say(`${tag}: ${actions.said(tag)}`, {kind: 'refused', tag});
  else forgetDraft(operation, {tag});
  if (result !== 'done') return;
  const back = OPERATIONS.get(operation)?.undone_by;
  notices.say(t(`done.${operation}`, {tag}), {tag, undo: back ? {
    key: UNDO.key,
    untilMs,
    isOffered: () => actions.isLatest(tag),
    act: () => send(back, tag, {}, {actions, notices}),
  } : null});
}
