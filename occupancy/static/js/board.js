// The board: who works on what, right now, and one touch to take, pause or complete.

import {Actions} from './actions.js';
import * as api from './api.js';
import {Card} from './card.js';
import {elapsed, readClock, serverNow} from './clock.js';
import {announce, byId, fill, h, setText} from './dom.js';
import {ask} from './dialogs.js';
import {moment, number, t, tn} from './i18n.js';
import {listen} from './keys.js';
import {List} from './list.js';
import {Live} from './live.js';
import {Model, STATES, offered} from './model.js';
import {start} from './page.js';
import {scanning} from './scan.js';
import * as session from './session.js';

const board = document.body.dataset.board;
const model = new Model();
const filter = readFilter();
const chosen = new Set(); // tags for a batch
let active = null; // the tag that the keyboard acts on
let live = null;
let snapshotEtag = null;
let lastHeard = null; // when the page was last known to be up to date
let status = 'connecting';

const list = new List(byId('items'), {render: (item, row) => card.draw(item, row), keyOf: (item) => item.tag});
const actions = new Actions(board, model, (tag) => list.refresh(tag));
const card = new Card({
  actions,
  isChosen: (tag) => chosen.has(tag),
  isActive: (tag) => tag === active,
  canAct: () => ['live', 'degraded', 'connecting'].includes(status) && session.may('worker'),
  offered: (item) => offered(item, session.current()?.worker.id, session.may('supervisor')),
  onAct: act,
  onChoose: choose,
});

// Loading and following

async function reload(signal) {
  const askedMs = elapsed();
  const headers = snapshotEtag ? {'If-None-Match': snapshotEtag} : {};
  const response = await fetch(`/api/boards/${board}/items`, {headers, signal: AbortSignal.timeout(30000)});
  readClock(response, askedMs);
  if (response.status === 304) return {cursor: live.cursor, seq: live.seq};
  const answer = await response.json();
  if (!response.ok) throw new api.Problem({...answer, status: response.status});
  const items = answer.items;
  for (let {next} = answer; next;) {
    const page = await api.get(`/api/boards/${board}/items?page=${encodeURIComponent(next)}`);
    items.push(...page.items);
    ({next} = page);
  }
  signal.throwIfAborted();
  snapshotEtag = answer.next ? null : response.headers.get('ETag');
  lastHeard = serverNow();
  model.load(items);
  return {cursor: answer.cursor, seq: answer.seq};
}

function apply(event) {
  snapshotEtag = null; // it is of the snapshot, and the model has moved on
  lastHeard = serverNow();
  model.apply(event);
  const {item, actor} = event;
  if (actor.id !== session.current()?.worker.id) {
    announce(t(`event.${event.type}`, {tag: item.tag, actor: actor.name, holder: item.holder?.name ?? ''}));
  }
}

function showStatus(next) {
  status = next;
  const isOld = next !== 'live';
  const chip = byId('live');
  chip.dataset.status = next;
  setText(chip, t(`live.${next}`));
  const banner = byId('banner');
  banner.hidden = !isOld || lastHeard === null || next === 'connecting';
  if (!banner.hidden) setText(banner, t('live.old', {since: moment(lastHeard)}));
  list.redraw();
}

async function denied(code) {
  if (code === 404) {
    setText(byId('banner'), t('board.none', {board}));
    byId('banner').hidden = false;
  } else if (code === 401) {
    stop();
    await session.load().catch(() => {});
    if (session.current() === null) session.openDialog();
  } else {
    setText(byId('banner'), t('refusal.forbidden'));
    byId('banner').hidden = false;
  }
}

function stop() {
  live?.stop();
  live = null;
}

start(async (who) => {
  stop();
  chosen.clear();
  snapshotEtag = null;
  byId('mine').hidden = !session.may('worker');
  if (!who) {
    model.load([]);
    showStatus('connecting');
    setText(byId('live'), ''); // nobody is signed in: nothing is followed
    return;
  }
  live = new Live(board, {reload, apply, onStatus: showStatus, onDenied: denied});
  loadBoard().catch(() => {});
  await live.start();
}, listenToKeys);

async function loadBoard() {
  const found = await api.get(`/api/boards/${board}`);
  setText(byId('title'), found.title);
  document.title = `${found.title} · occupancy`;
  const steps = byId('step');
  fill(steps, h('option', {value: ''}, t('filter.all_steps')),
    ...found.steps.map((step) => h('option', {value: step, selected: step === filter.step}, step)));
  steps.parentElement.hidden = found.steps.length < 2;
}

// What is shown

function readFilter() {
  const query = new URLSearchParams(location.search);
  return {state: query.get('state') ?? '', step: query.get('step') ?? '',
    mine: query.has('mine'), text: query.get('q') ?? ''};
}

function writeFilter() {
  const query = new URLSearchParams();
  if (filter.state) query.set('state', filter.state);
  if (filter.step) query.set('step', filter.step);
  if (filter.mine) query.set('mine', '');
  if (filter.text) query.set('q', filter.text);
  history.replaceState(null, '', query.size ? `?${query}` : location.pathname);
}

let isDue = false;
function show() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    const items = model.select(filter, session.current()?.worker.id);
    list.show(items);
    if (active === null || !items.some((item) => item.tag === active)) setActive(items[0]?.tag ?? null);
    showCounts(items.length);
    showBatch();
  });
}

function showCounts(shown) {
  const counts = model.counts();
  for (const button of byId('states').children) {
    const {state} = button.dataset;
    setText(button.querySelector('.count'), number(state ? counts[state] : model.items.size));
    button.setAttribute('aria-pressed', String(filter.state === state));
  }
  byId('mine').setAttribute('aria-pressed', String(filter.mine));
  setText(byId('shown'), shown === 0 ? t('board.nothing') : tn('board.items', shown));
}

model.onChange((tags) => {
  show();
  if (tags) for (const tag of tags) list.refresh(tag);
});

byId('states').append(...['', ...STATES].map((state) => h('button', {
  type: 'button', 'data-state': state, 'aria-pressed': 'false',
  onclick: () => { filter.state = filter.state === state ? '' : state; writeFilter(); show(); },
}, h('span', {class: `mark ${state}`, 'aria-hidden': 'true'}), t(`state.${state || 'all'}`), ' ',
h('span', {class: 'count'}))));
byId('mine').addEventListener('click', () => { filter.mine = !filter.mine; writeFilter(); show(); });
byId('step').addEventListener('change', (event) => { filter.step = event.target.value; writeFilter(); show(); });
document.querySelector('.filters').addEventListener('submit', (event) => event.preventDefault());
const search = byId('search');
search.value = filter.text;
search.addEventListener('input', () => { filter.text = search.value; writeFilter(); show(); });

// Acting

async function act(operation, tag) {
  setActive(tag);
  if (!session.may('worker')) {
    await session.openDialog();
    if (!session.may('worker')) return;
  }
  const item = model.items.get(tag);
  if (!item || !offered(item, session.current().worker.id, session.may('supervisor')).includes(operation)) return;
  const fields = await ask(operation, {item, board});
  if (fields === null) return;
  const isDone = await actions.run(operation, tag, fields);
  const now = model.items.get(tag);
  announce(isDone ? t(`done.${operation}`, {tag}) : actions.refusal(now ?? item));
}

function choose(tag) {
  if (chosen.has(tag)) chosen.delete(tag);
  else if (chosen.size < 50) chosen.add(tag);
  else announce(t('batch.most'));
  list.refresh(tag);
  showBatch();
}

function showBatch() {
  for (const tag of chosen) if (!model.items.has(tag)) chosen.delete(tag);
  const bar = byId('batch');
  bar.hidden = chosen.size === 0;
  document.body.classList.toggle('choosing', chosen.size > 0);
  if (bar.hidden) return;
  const worker = session.current()?.worker.id;
  const isSupervisor = session.may('supervisor');
  const possible = new Set([...chosen].flatMap((tag) => offered(model.items.get(tag), worker, isSupervisor)));
  fill(
    bar,
    h('strong', {}, tn('batch.chosen', chosen.size)),
    ...[...possible].map((operation) => h('button', {type: 'button', class: `act ${operation}`,
      onclick: () => actOnChosen(operation)}, t(`operation.${operation}`))),
    h('button', {type: 'button', onclick: () => { chosen.clear(); list.redraw(); showBatch(); }}, t('batch.none')),
  );
}

async function actOnChosen(operation) {
  const tags = [...chosen];
  const fields = await ask(operation, {board, count: tags.length});
  if (fields === null) return;
  const {done, of} = await actions.runMany(operation, tags, fields);
  // What was refused stays chosen, with the reason next to it.
  for (const tag of tags) if (!actions.refusals.has(tag)) chosen.delete(tag);
  list.redraw();
  showBatch();
  announce(t('batch.done', {done: number(done), of: number(of)}));
}

// The keyboard

function setActive(tag, focus = false) {
  const before = active;
  active = tag;
  if (before !== tag) list.refresh(before);
  list.refresh(tag);
  if (focus) list.reveal(tag)?.querySelector('.tag')?.focus({preventScroll: true});
}

function move(by) {
  if (list.items.length === 0) return;
  const index = active === null ? -1 : list.indexOf(active);
  const next = Math.min(Math.max(index + by, 0), list.items.length - 1);
  setActive(list.items[next].tag, true);
}

function select(tag) {
  Object.assign(filter, {state: '', step: '', mine: false, text: ''});
  search.value = '';
  writeFilter();
  list.show(model.select(filter, session.current()?.worker.id));
  setActive(tag, true);
  announce(t('scan.found', {tag}));
  return ''; // it is in sight, and has the focus
}

function hindrance() {
  if (!session.current()) return t('scan.sign_in_first');
  return lastHeard === null ? t('scan.loading') : '';
}

function listenToKeys() {
  const onActive = (operation) => () => { if (active) act(operation, active); };
  listen({
    '/': () => search.focus(),
    Escape: () => { search.blur(); if (active) setActive(active, true); },
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    PageDown: () => move(8),
    PageUp: () => move(-8),
    Home: () => move(-Infinity),
    End: () => move(Infinity),
    Enter: () => { if (active) location.href = `/boards/${board}/items/${active}`; },
    ' ': () => { if (active) choose(active); },
    t: onActive('take'),
    p: onActive('pause'),
    c: onActive('complete'),
  }, scanning({board, find: (tag) => model.find(tag), select, hindrance}));
}

setInterval(() => card.tick(list.rows.values()), 1000);
show();
