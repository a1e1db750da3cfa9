// The page of one item: its state, its operations and its history.

import {Actions} from './actions.js';
import * as api from './api.js';
import {BoardSettings} from './board_settings.js';
import {Card} from './card.js';
import {serverNow} from './clock.js';
import {byId, fill, h, setText} from './dom.js';
import {duration, moment, number, sinceText, t} from './i18n.js';
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
import {UNDO, isAdded, transitionOf} from './transitions.js';
import {waiting} from './waiting.js';
import {WaitingEnds} from './waiting_ends.js';
import {workOf, workedNow} from './worked_time.js';

const {board, tag} = document.body.dataset;
const path = `/api/boards/${board}`;
const model = new Model();
const row = h('li', {class: 'row'});
byId('items').append(row);
let live = null;
let status = 'connecting';
let boardSteps = [];
let events = []; // newest first
let next = null;
let isLoaded = false; // whether the item came from the server
let isDenied = false;
let isSignedOut = false; // false until the server has answered
let lastHeard = null; // when the page was last known to be up to date

const notices = new Notices();
const actions = new Actions(board, model, draw);
const settings = new BoardSettings(board, () => { draw(); showHistory(); });
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
  events = page?.history ?? [];
  next = page?.next ?? null;
  isLoaded = true;
  lastHeard = serverNow();
  const version_floor = Math.min( // each may come from another process
    position.version_floor, item?.version_floor ?? Infinity, page?.version_floor ?? Infinity);
  model.load(item ? [item.item] : [], version_floor);
  showHistory();
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
  byId('about').hidden = events.length === 0;
  if (situation === 'denied') return; // the banner gives the reason
  const [last] = events;
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
  events = [];
  next = null;
  model.load([]);
  settings.clear();
  fill(byId('history'));
  fill(byId('work'));
  setText(byId('worked'), '');
  byId('part').hidden = true;
  byId('older').hidden = true;
  showSituation();
}

function showHistory() {
  showPart();
  byId('older').hidden = next === null;
  fill(byId('history'), ...events.map((event, index) => h('li', {class: event.item.state},
    h('p', {class: 'when'}, h('time', {datetime: event.at}, moment(event.at)), lasted(event, index)),
    h('span', {class: `mark ${event.item.state}`, 'aria-hidden': 'true'}),
    h('p', {}, t(`history.${event.type}`, {actor: nameOf(event.actor), holder: event.item.holder?.name ?? ''}),
      stepOf(event, index) !== 'work' && h('span', {class: 'step'}, settings.titleOf(stepOf(event, index))),
      event.item.reason && h('span', {class: 'reason'}, event.item.reason)))));
  const work = workOf(events, serverNow());
  fill(byId('work'), h('tbody', {}, ...(work.length === 0
    ? [h('tr', {}, h('td', {}, t('item.no_work')))]
    : work.map(({step, worker, seconds, isRunning}) => h('tr', {},
      h('th', {scope: 'row'}, worker), h('td', {}, settings.titleOf(step)),
      h('td', {class: 'number'},
        h('span', isRunning ? {class: 'running', 'data-from': serverNow() - 1000 * seconds} : {},
          duration(seconds)),
        isRunning ? ` ${t('item.running')}` : ''))))));
}

/** Says which part of the history the table covers: the rest is not loaded, or not kept. */
function showPart() {
  const isTrimmed = next === null && events.length > 0 && !isAdded(events.at(-1));
  byId('part').hidden = next === null && !isTrimmed;
  setText(byId('part'), isTrimmed ? t('item.trimmed') : t('item.partial', {count: number(events.length)}));
}

function showWorked(item) {
  const seconds = duration(workedNow(item, serverNow()));
  const title = item.step === 'work' ? t('item.worked_only') : t('item.worked', {step: settings.titleOf(item.step)});
  setText(byId('worked'), `${title}: ${seconds}`);
}

/** The step that an event is about; after a completion the item is already at the next one. */
function stepOf(event, index) {
  const before = transitionOf(event)?.target === 'advance' ? events[index + 1] : undefined;
  return (before ?? event).item.step;
}

/** How long the state after an event lasted; '' if it still lasts, or for an edit. */
function lasted(event, index) {
  const isEdit = (each) => transitionOf(each)?.target === 'edited';
  const later = events.slice(0, index).findLast((each) => !isEdit(each));
  if (!later || isEdit(event)) return '';
  return `· ${duration((Date.parse(later.at) - Date.parse(event.at)) / 1000)}`;
}

function tick() {
  card.tick([row]);
  const item = model.items.get(tag);
  if (item) showWorked(item);
  for (const each of document.querySelectorAll('#work .running')) {
    setText(each, duration((serverNow() - Number(each.dataset.from)) / 1000));
  }
}

byId('older').addEventListener('click', async () => {
  const asked = next;
  let page;
  try {
    page = await api.get(`${path}/items/${tag}/history?page=${encodeURIComponent(asked)}`);
  } catch (problem) {
    notices.say(explain(problem), {kind: 'refused'});
    return;
  }
  if (next !== asked) return; // touched twice, or reloaded meanwhile
  events.push(...page.history);
  ({next} = page);
  showHistory();
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
      if (!events.some((each) => each.seq === event.seq)) events.unshift(event);
      showHistory();
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
