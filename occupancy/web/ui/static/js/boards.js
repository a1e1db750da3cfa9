// The list of boards, with the number of items in each state.

import * as api from './api.js';
import {itemsOf} from './board_settings.js';
import {byId, fill, h, setText} from './dom.js';
import {moment, number, t} from './i18n.js';
import {keptBoards} from './kept_board.js';
import {STATES} from './model.js';
import {askNewBoard} from './new_board.js';
import {age} from './offline_board.js';
import {start, startAgain} from './page.js';
import {isKnown, may} from './session.js';

const REFRESH_MS = 10000;
let timer;
let taken = []; // the ids that there are
let shown = '';
let turn = 0; // a response may arrive after the session has changed

async function show() {
  const mine = turn;
  const {boards} = await api.get('/api/boards');
  if (mine !== turn) return;
  setText(byId('said'), boards.length === 0 ? t('boards.none') : '');
  taken = boards.map((each) => each.board);
  const now = JSON.stringify(boards);
  if (now !== shown) draw(boards); // else the focus would go
  shown = now;
}

/** Shows the boards; the focus stays on the link that had it. */
function draw(boards) {
  const focused = document.activeElement?.closest('#boards a')?.getAttribute('href');
  byId('boards').replaceChildren(...boards.map((each) => {
    const all = STATES.reduce((sum, state) => sum + each.counts[state], 0);
    return h('li', {class: 'panel'},
      h('h2', {}, h('a', {href: `/boards/${each.board}`}, each.title)),
      h('p', {class: 'soft'}, itemsOf(each.item_name, all)),
      h('p', {class: 'counts'}, ...STATES.filter((state) => each.counts[state] > 0).map((state) => (
        h('span', {class: 'state'}, h('span', {class: `mark ${state}`, 'aria-hidden': 'true'}),
          t(`state.${state}`), ' ', h('strong', {}, number(each.counts[state])))))),
      h('p', {class: 'links'}, ...linksOf(each)));
  }));
  if (focused) byId('boards').querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
}

function linksOf({board, title}) {
  const link = (page, text) => h('a', {href: `/boards/${board}/${page}`, 'aria-label': `${text}: ${title}`}, text);
  return [
    may('supervisor') && link('items', t('page.items')),
    may('admin') && link('settings', t('boards.settings')),
    h('a', {href: `/boards/${board}/wall`}, t('page.wall')),
  ].filter(Boolean);
}

async function look() {
  try {
    await show();
  } catch (problem) {
    if (problem.status === 401) {
      clear();
      await startAgain(run);
    } else {
      setText(byId('said'), t(byId('boards').children.length > 0 ? 'boards.old' : 'shown.unreachable'));
    }
  }
}

function clear() {
  turn += 1;
  clearInterval(timer);
  shown = '';
  byId('boards').replaceChildren();
}

function run(found) {
  clear();
  byId('new-board').hidden = !may('admin');
  if (!found) {
    setText(byId('said'), t('boards.signed_out'));
    return;
  }
  setText(byId('said'), t('shown.loading'));
  look();
  timer = setInterval(() => { if (!document.hidden) look(); }, REFRESH_MS);
}

byId('new-board').addEventListener('click', async () => {
  const made = await askNewBoard(taken);
  if (made) location.assign(`/boards/${made.board}/settings`);
});

/** The boards that open without the server, until it has said who is signed in. */
async function showKept() {
  const kept = await keptBoards();
  if (isKnown()) return false;
  setText(byId('said'), t(kept.length > 0 ? 'kept.boards' : 'kept.none'));
  fill(byId('boards'), ...kept.map(({board, settings, heardMs, heardDeviceMs}) => h('li', {class: 'panel'},
    h('h2', {}, h('a', {href: `/boards/${board}`}, settings.title)),
    h('p', {class: 'soft'}, t('kept.as_it_was', {since: moment(heardMs), ago: age(heardDeviceMs)})))));
  return true;
}

start(run, undefined, {onAway: showKept});
