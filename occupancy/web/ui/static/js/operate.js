// One operation from a touch to its notice: ask for its fields, send it, tell the result.

import {ask} from './dialogs.js';
import {forgetDraft} from './drafts.js';
import {t} from './i18n.js';
import {explain} from './refusal_text.js';
import {OPERATIONS, UNDO} from './transitions.js';

/**
 * Carries out an operation on an item; a cancelled dialog ends it silently. Never throws. `wait(operation,
 * item, fields)` may let it wait for the network, and then answers true.
 */
export async function operate(operation, item, {board, actions, notices, wait = () => false}) {
  const {tag} = item;
  let fields;
  try {
    fields = await ask(operation, {item, board, items: actions.model.items.values()});
  } catch (problem) {
    notices.say(`${tag}: ${explain(problem)}`, {kind: 'refused', tag});
    return;
  }
  if (fields === null || await wait(operation, item, fields)) return;
  await send(operation, tag, fields, {actions, notices});
}

/**
 * Sends an operation, unless one is on its way, and tells the result, with a button to take it back where that
 * is possible.
 */
async function send(operation, tag, fields, {actions, notices}) {
  if (actions.sending.has(tag)) return;
  // From before the server's clock counts, so the button is gone before the server refuses.
  const untilMs = performance.now() + 1000 * UNDO.within_s;
  if (!await actions.run(operation, tag, fields)) {
    notices.say(`${tag}: ${actions.said(tag)}`, {kind: 'refused', tag});
    return;
  }
  forgetDraft(operation, {tag});
  const back = OPERATIONS.get(operation)?.undone_by;
  notices.say(t(`done.${operation}`, {tag}), {tag, undo: back ? {
    key: UNDO.key,
    untilMs,
    isOffered: () => actions.isLatest(tag),
    act: () => send(back, tag, {}, {actions, notices}),
  } : null});
}
