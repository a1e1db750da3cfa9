// The page of one item: its state, its operations and its history.

import {Actions} from './actions.js';
import * as api from './api.js';
import {BoardSettings} from './board_settings.js';
import {Card} from './card.js';
import {serverNow} from './clock.js';
import {byId, fill, h, setText} from './dom.js';
import {duration, sinceText, t} from './i18n.js';
import {ItemHistory} from './item_history.js';
import {tickRows} from './item_parts.js';
import {listen} from './keys.js';
import {Live} from './live.js';
import {Model, offered} from './model.js';
import {Notices, toldBy} from './notice.js';
import {operate} from './operate.js';
import {start, startAgain} from './page.js';
import {nameOf} from './person_name.js';
import {explain} from './refusal_text.js';
import {scanning} from './scan.js';
import * as session from './session.js';
import {filterTaps} from './tap_filter.js';
import {UNDO, transitionOf} from './transitions.js';
import {waiting} from './waiting.js';
import {WaitingEnds} from './waiting_ends.js';
import {workedNow} from './worked_time.js';

const {board, tag} = document.body.dataset;
const path = `/api/boards/${board}`;
const model = new Model();
const row = h('li', {class: 'row'});
byId('items').append(row);
let live = null;
let status = 'connecting';
let boardSteps = [];
let isLoaded = false; // whether the item came from the server
let isDenied = false;
let isSignedOut = false; // false until the server has answered
let lastHeard = null; // when the page was last known to be up to date

const notices = new Notices();
const actions = new Actions(board, model, draw);
const settings = new BoardSettings(board, () => { draw(); past.draw(); });
const past = new ItemHistory((step) => settings.titleOf(step));
const canAct = () => status !== 'offline' && session.may('worker');
const ends = new WaitingEnds(board, {
  worker: () => session.current()?.worker ?? null, isOffline: () => status === 'offline', canAct});
const card = new Card({
  actions,
  settings: {titleOf: (step) => settings.titleOf(step), shownOf: () => []}, // all attributes are below
  isChosen: () => false,
  isActive: () => false,
  hindrance: (operation, item) => ends.whyNot(operation, item),
  onHindered: (why) => notices.say(why, {kind: 'refused', tag}),
  waits: () => ends.line(tag),
  offered: (item) => offered(item, session.current()?.worker.id, session.isOffered, boardSteps),
  async onAct(operation) {
    const item = model.items.get(tag);
    if (!item || actions.sending.has(tag)) return;
    await operate(operation, item, {board, actions, notices, ends});
  },
  onChoose() {},
});

function draw() {
  const item = model.items.get(tag);
  row.hidden = !item;
  if (!item) { // removed, unknown, or nobody is signed in: hide all of it
    fill(row);
    fill(byId('attributes'));
    setText(byId('worked'), '');
    return;
  }
  card.draw(item, row);
  showWorked(item);
  fill(byId('attributes'), ...Object.entries(item.attributes).flatMap(([name, value]) => (
    [h('dt', {}, name), h('dd', {}, String(value))])));
}

async function reload(signal) {
  // Loads the position first: events between the two requests are replayed, and recognized by their
  // version.
  const position = await api.get(`${path}/items?limit=1`);
  // The item's ETag is its version, which says nothing of the floor: what the browser has in its cache
  // may be from before a promotion, or from a server that has counted the version again.
  const [item, page] = await Promise.all([
    orNull(api.get(`${path}/items/${tag}`, {cache: 'no-store'})), orNull(api.get(`${path}/items/${tag}/history`)),
  ]);
  signal.throwIfAborted();
  past.load(page);
  isLoaded = true;
  lastHeard = serverNow();
  const version_floor = Math.min( // each may come from another process
    position.version_floor, item?.version_floor ?? Infinity, page?.version_floor ?? Infinity);
  model.load(item ? [item.item] : [], version_floor);
  past.draw();
  showSituation();
  return {...position, version_floor}; // also without an item, which somebody may add
}

async function orNull(asked) {
  try {
    return await asked;
  } catch (problem) {
    if (problem.code === 'item_not_found') return null;
    throw problem;
  }
}

/** Says why no item is shown; each reason has its own text. */
function showSituation() {
  const situation = isDenied ? 'denied' : isSignedOut ? 'signed_out'
    : isLoaded ? 'loaded' : status === 'offline' ? 'unreachable' : 'loading';
  setText(byId('shown'), {signed_out: t('item.signed_out'), unreachable: t('shown.unreachable'),
    loading: t('shown.loading')}[situation] ?? '');
  byId('shown').hidden = byId('shown').textContent === '';
  if (situation === 'denied') return; // the banner gives the reason
  const [last] = past.events;
  const isOld = ['degraded', 'offline'].includes(status);
  if (situation !== 'loaded') warn('');
  else if (model.items.has(tag)) warn(isOld ? t('live.old', {since: sinceText(lastHeard)}) : '');
  else if (last && transitionOf(last)?.target === 'removed') warn(t('item.gone', {tag, actor: nameOf(last.actor)}));
  else warn(t('item.none', {tag}));
}

function warn(text) {
  setText(byId('banner'), text);
  byId('banner').hidden = text === '';
}

/** Hides the item, which the user may not see, or not yet. */
function clear() {
  isLoaded = false;
  isDenied = false;
  status = 'connecting';
  setText(byId('live'), ''); // the page follows no events
  delete byId('live').dataset.status;
  model.load([]);
  settings.clear();
  past.load(null);
  past.draw();
  setText(byId('worked'), '');
  showSituation();
}

function showWorked(item) {
  const seconds = duration(workedNow(item, serverNow()));
  const title = item.step === 'work' ? t('item.worked_only') : t('item.worked', {step: settings.titleOf(item.step)});
  setText(byId('worked'), `${title}: ${seconds}`);
}

function tick() {
  tickRows([row]);
  const item = model.items.get(tag);
  if (item) showWorked(item);
  past.tick();
}

byId('older').addEventListener('click', async () => {
  const asked = past.next;
  let page;
  try {
    page = await api.get(`${path}/items/${tag}/history?page=${encodeURIComponent(asked)}`);
  } catch (problem) {
    notices.say(explain(problem), {kind: 'refused'});
    return;
  }
  if (past.next === asked) past.append(page); // else touched twice, or reloaded meanwhile
});

model.onChange(() => {
  notices.check();
  draw();
});
waiting.onChange((done) => {
  draw();
  if (done?.board === board && done.tag === tag) notices.say(t(`done.${done.operation}`, {tag}), {tag});
});

function stop() {
  live?.stop();
  live = null;
}

async function run(who) {
  stop();
  notices.clear();
  actions.forget();
  isSignedOut = !who;
  clear();
  if (!who) return;
  live = new Live(board, {
    reload,
    isAhead: () => model.unheard.size > 0,
    apply(event) {
      lastHeard = serverNow();
      if (event.item.tag !== tag) return;
      const before = model.items.get(tag);
      model.apply(event);
      const told = toldBy(event, before, session.current()?.worker.id);
      if (told) notices.say(told, {kind: 'mine', tag});
      past.add(event);
      showSituation();
    },
    onSettings: (version) => settings.told(version),
    onStatus(now) {
      status = now;
      if (now === 'live') waiting.deliver();
      byId('live').dataset.status = now;
      setText(byId('live'), t(`live.${now}`));
      showSituation();
      draw();
    },
    async onDenied(code) {
      stop();
      clear();
      isDenied = code !== 401;
      showSituation();
      if (isDenied) warn(code === 404 ? t('board.none', {board}) : t('refusal.forbidden'));
      else await startAgain(run);
    },
  });
  loadSteps().catch(() => {}); // only what depends on them is not offered
  await live.start();
}

async function loadSteps() {
  boardSteps = (await api.get(path)).steps;
  draw();
}

start(run, () => listen({[UNDO.key]: () => notices.undo()}, scanning({
  board, notices, hindrance: () => (session.current() ? '' : t('scan.sign_in_first')),
})));
setInterval(tick, 1000);
filterTaps('.items, .foot, #ask-dialog');
draw();
showSituation();
