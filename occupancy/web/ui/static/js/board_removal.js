// The removal of a board: an empty one after a question, another by typing its id.

import * as api from './api.js';
import {itemsOf} from './board_settings.js';
import {h, setText} from './dom.js';
import {field, openForm} from './form_dialog.js';
import {t} from './i18n.js';
import {explain} from './refusal_text.js';

/** Asks, and removes the board. Whether it is gone. */
export async function askRemoval(known) {
  const address = `/api/boards/${known.board}`;
  // The number of items that the question names is today's, not that of when the page was opened.
  const board = await api.get(address).catch(() => known);
  const confirm = h('input', {autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', maxlength: '64'});
  const question = h('p', {});
  const typed = h('div', {}, field(t('settings.type_id', {board: board.board}), confirm));
  let count;
  const ask = (items) => {
    count = items;
    setText(question, items > 0
      ? t('settings.remove_items', {items: itemsOf(board.item_name, items)}) : t('settings.remove_empty'));
    typed.hidden = items === 0;
  };
  ask(Object.values(board.counts).reduce((sum, each) => sum + each, 0));
  return true === await openForm({
    title: t('settings.remove_title', {board: board.title}),
    fields: [question, board.board === 'main' && h('p', {class: 'soft'}, t('settings.remove_main')), typed]
      .filter(Boolean),
    yes: t('settings.remove'),
    isDanger: true,
    async send() {
      if (count > 0 && confirm.value.trim() !== board.board) throw new api.Problem({code: 'not_confirmed', status: 0});
      try {
        await api.send('DELETE', address, {body: count > 0 ? {confirm: board.board} : {}});
      } catch (problem) {
        if (problem.code === 'board_not_empty') ask(problem.items);
        // Gone: by an earlier try whose answer was lost, or by somebody else.
        if (problem.code !== 'board_not_found') throw problem;
      }
      return true;
    },
    explainProblem(problem) {
      if (problem.code === 'not_confirmed') {
        confirm.focus();
        return t('settings.not_confirmed', {board: board.board});
      }
      if (problem.code === 'board_not_empty') {
        confirm.focus();
        return t('settings.no_longer_empty');
      }
      return problem.code === 'unreachable' ? t('settings.remove_uncertain') : explain(problem);
    },
  });
}
