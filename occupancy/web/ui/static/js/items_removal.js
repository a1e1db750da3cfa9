// Removes items one by one: the server refuses those that somebody has, and says who.

import {itemsOf} from './board_settings.js';
import {h, setText} from './dom.js';
import {openForm} from './form_dialog.js';
import {number, t} from './i18n.js';
import {addressOf} from './item_address.js';
import {sendOnce} from './persistent_send.js';
import {explain} from './refusal_text.js';

/**
 * Asks whether to remove items, and removes them one by one: {removed, refused: [[item, why]]}, or null.
 * `itemName` is what the board calls them.
 */
export function openRemoval(board, items, itemName) {
  const done = h('progress', {max: items.length, value: 0, 'aria-label': t('items.removing'), hidden: true});
  const count = h('p', {class: 'soft', role: 'status', hidden: true});
  const result = {removed: [], refused: []};
  return openForm({
    title: items.length === 1 ? t('items.remove_one', {tag: items[0].tag})
      : t('items.remove_many', {items: itemsOf(itemName, items.length)}),
    fields: [h('p', {}, t('items.remove_hint')), listOf(items), done, count],
    yes: t('items.remove'),
    isDanger: true,
    send: removeAll,
  });

  async function removeAll(form) {
    done.hidden = false;
    count.hidden = false;
    for (const [index, item] of items.entries()) {
      const mayGoOn = form.closest('dialog[open]') && await removeOne(board, item, result);
      if (!mayGoOn) {
        const tried = result.removed.length + result.refused.length;
        for (const rest of items.slice(tried)) result.refused.push([rest, t('items.not_tried')]);
        break;
      }
      done.value = index + 1;
      setText(count, t('items.removed_of', {done: number(index + 1), all: number(items.length)}));
    }
    return result;
  }
}

function listOf(items) {
  if (items.length === 1) return h('p', {class: 'soft'}, items[0].title);
  const first = items.slice(0, 5).map((item) => item.tag).join(', ');
  const rest = number(items.length - 5);
  return h('p', {class: 'soft'}, items.length > 5 ? t('items.and_more', {first, count: rest}) : first);
}

/** Whether to go on: not without a server, or without a session. */
async function removeOne(board, item, result) {
  try {
    await sendOnce('DELETE', addressOf(board, item.tag), {headers: {'If-Match': `"${item.version}"`}});
    result.removed.push(item.tag);
  } catch (problem) {
    if (problem.status === undefined) throw problem;
    result.refused.push([item, whyNot(problem)]);
    return !(problem.isUncertain || [401, 403].includes(problem.status));
  }
  return true;
}

function whyNot(problem) {
  if (problem.code === 'version_mismatch') {
    const {holder, since} = problem.item ?? {};
    return holder ? explain({code: 'held', holder, since}) : t('items.changed_stays');
  }
  return explain(problem);
}
