// One operation from a touch to its notice: ask for its fields, send it, show the result.

import {explain} from './actions.js';
import {ask} from './dialogs.js';
import {t} from './i18n.js';

/** Carries out an operation on an item; closing its dialog cancels it. Never throws. */
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
