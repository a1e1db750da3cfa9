// One operation from a touch to its notice: ask what it needs, send it, say what came of it.

import {explain} from './actions.js';
import {ask} from './dialogs.js';
import {t} from './i18n.js';

/** Carries out an operation on an item; a closed dialog ends it without a word. Never throws. */
export async function operate(operation, item, {board, actions, notices}) {
  const {tag} = item;
  let fields;
  try {
    fields = await ask(operation, {item, board});
  } catch (problem) {
    notices.say(`${tag}: ${explain(problem)}`, {kind: 'refused', tag});
    return;
  }
  if (fields === null || actions.sending.has(tag)) return;
  const isDone = await actions.run(operation, tag, fields);
  if (isDone) notices.say(t(`done.${operation}`, {tag}), {tag});
  else notices.say(`${tag}: ${actions.said(tag)}`, {kind: 'refused', tag});
}
