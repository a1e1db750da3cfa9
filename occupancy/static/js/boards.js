// All boards, with how much is going on there.

import * as api from './api.js';
import {byId, fill, h, setText} from './dom.js';
import {number, t, tn} from './i18n.js';
import {STATES} from './model.js';
import {start} from './page.js';

const REFRESH_MS = 10000;
let timer;

async function show() {
  const {boards} = await api.get('/api/boards');
  setText(byId('said'), boards.length === 0 ? t('boards.none') : '');
  fill(byId('boards'), ...boards.map((each) => {
    const all = STATES.reduce((sum, state) => sum + each.counts[state], 0);
    return h('li', {class: 'panel'},
      h('h2', {}, h('a', {href: `/boards/${each.board}`}, each.title)),
      h('p', {class: 'soft'}, tn('board.items', all)),
      h('p', {class: 'counts'}, ...STATES.filter((state) => each.counts[state] > 0).map((state) => (
        h('span', {class: 'state'}, h('span', {class: `mark ${state}`, 'aria-hidden': 'true'}),
          t(`state.${state}`), ' ', h('strong', {}, number(each.counts[state])))))),
      h('p', {class: 'links'}, h('a', {href: `/boards/${each.board}/wall`}, t('page.wall'))));
  }));
}

start((found) => {
  clearInterval(timer);
  if (!found) {
    fill(byId('boards'));
    setText(byId('said'), t('boards.signed_out'));
    return;
  }
  setText(byId('said'), t('shown.loading'));
  show().catch(() => setText(byId('said'), t('shown.unreachable')));
  timer = setInterval(() => { if (!document.hidden) show().catch(() => {}); }, REFRESH_MS);
});
