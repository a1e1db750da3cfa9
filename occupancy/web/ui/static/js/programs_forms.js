// What the forms of the page of programs have in common: the choice of a board, refusals, revoking.

import * as api from './api.js';
import {h} from './dom.js';
import {field, openForm} from './form_dialog.js';
import {t} from './i18n.js';

/** A select of the boards; with `all`, the first choice is all of them. */
export function boardField(boards, {all = false, chosen = ''} = {}) {
  return field(t('programs.board'), h('select', {name: 'board', required: !all},
    all && h('option', {value: ''}, t('programs.all_boards')),
    ...boards.map((each) => h('option', {value: each.board, selected: each.board === chosen}, each.title))));
}

/** Refusals of making something, in the page's language; null leaves one to refusal_text.js. */
export function explainMaking(problem) {
  if (problem.isUncertain) return t('programs.perhaps_made');
  const texts = {
    board_not_found: () => t('programs.no_board'), worker_not_found: () => t('programs.no_worker'),
    limit_reached: () => t('programs.too_many'), invalid_request: () => t('programs.not_allowed'),
  };
  return texts[problem.code]?.() ?? null;
}

/** Asks, and revokes what is at `path`. True if it is revoked now, also if somebody else did it. */
export function revoke(path, {title, text}) {
  return openForm({
    title, fields: [h('p', {}, text)], yes: t('programs.revoke'), isDanger: true,
    async send() {
      try {
        await api.send('DELETE', path);
      } catch (problem) {
        if (problem.status !== 404) throw problem;
      }
      return true;
    },
  });
}
