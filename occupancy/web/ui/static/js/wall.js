// The wallboard: a board on a screen that nobody touches, for weeks.
//
// Its memory is bounded: the items of the board, the points of one timeline, as many rows as fit. It
// never shows a dialog: if somebody must act, it says how, and continues by itself.

import * as api from './api.js';
import {BoardSettings} from './board_settings.js';
import {elapsed, serverNow} from './clock.js';
import {byId, h, setText} from './dom.js';
import {duration, locale, number, sinceText, t, tn} from './i18n.js';
import {listen} from './keys.js';
import {followVersion, stayAwake, versionIn} from './kiosk.js';
import {Live} from './live.js';
import {Model, STATES} from './model.js';
import {Plot} from './plot.js';
import {onRestored} from './restored.js';
import {Rotation} from './rotation.js';
import {scanning} from './scan.js';
import {splitTag} from './tag_parts.js';
import {completedPerHour, completedToday, countsOf, hoursBetween, readTimeline} from './timeline.js';
import {transitionOf} from './transitions.js';

const DAY_HOURS = 12; // shown in the chart
const TIMELINE_HOURS = 24; // requested: it must contain a midnight
const TIMELINE_MS = 10 * 60 * 1000;
const PAGE_S = 12;
const FRESH_S = 20;
const AGAIN_MS = 60 * 1000;
const DRAW_MS = 250; // a batch of fifty is drawn as one change
const IN_HAND = ['occupied', 'paused', 'blocked'];

const {board} = document.body.dataset;
const path = `/api/boards/${board}`;
const model = new Model();
const settings = new BoardSettings(board, ({title}) => {
  setText(byId('title'), title);
  document.title = `${title} · occupancy`;
  drawSoon();
});
let live = null;
let status = 'connecting';
let upToDateMs = null; // the last time when the page was known to be up to date
let timeline = []; // points; the last is of the time of the request
let timelineSeq = 0;
let completions = []; // {seq, count: 1 or -1} of completions that may have come after it
let isTurning = true;

const short = new Intl.DateTimeFormat(locale, {timeStyle: 'short'});
const shortWithDay = new Intl.DateTimeFormat(locale, {weekday: 'short', hour: 'numeric', minute: '2-digit'});
const day = new Intl.DateTimeFormat(locale, {weekday: 'long', day: 'numeric', month: 'long'});
const hour = new Intl.DateTimeFormat(locale, {hour: 'numeric'});

/** The time of the displayed data: it stops while nothing arrives. */
function shownMs() {
  return status === 'live' || upToDateMs === null ? serverNow() : upToDateMs;
}

/** The start of a state: without the date if that is clear. */
function since(value) {
  const date = new Date(value);
  return (shownMs() - date < 86400000 ? short : shortWithDay).format(date);
}

// The lists

const isPaged = () => !matchMedia('(max-width: 50rem)').matches;
const onPage = (element) => (page, pages) => {
  setText(element, pages > 1 ? t('wall.page', {page: number(page), of: number(pages)}) : '');
};

const holders = new Rotation(byId('holders'), {
  least: 25, tall: 4.2, isPaged, onPage: onPage(byId('holders-page')),
  make: () => h('li', {class: 'entry'},
    h('p', {}, h('strong', {class: 'name'}), h('span', {class: 'long'})),
    h('p', {}, tagPlace(), h('span', {class: 'step'}), h('span', {class: 'title'}),
      h('span', {class: 'since'}))),
  write(entry, item) {
    write(entry, item, item.holder.name);
    setText(entry.querySelector('.since'), since(item.since));
    setText(entry.querySelector('.title'), item.title === item.tag ? '' : item.title);
    const step = entry.querySelector('.step');
    setText(step, settings.titleOf(item.step));
    step.hidden = item.step === 'work'; // the only step of a board without a list
  },
});

const still = new Rotation(byId('still'), {
  least: 22, tall: 5, isPaged, onPage: onPage(byId('still-page')),
  make: () => h('li', {class: 'entry'},
    h('p', {}, h('strong', {class: 'name'})),
    h('p', {}, h('span', {class: 'mark', 'aria-hidden': 'true'}), h('span', {class: 'word unseen'}),
      tagPlace(), h('span', {class: 'long'}))),
  write(entry, item) {
    write(entry, item, item.reason ?? t('wall.no_reason'));
    entry.classList.toggle('unexplained', item.reason === null);
    entry.querySelector('.mark').className = `mark ${item.state}`;
    setText(entry.querySelector('.word'), t(`state.${item.state}`));
  },
});

function tagPlace() {
  return h('span', {class: 'tag'}, h('span', {class: 'head'}), h('span', {class: 'tail'}));
}

function write(entry, item, name) {
  entry.dataset.since = item.since;
  entry.dataset.state = item.state;
  setText(entry.querySelector('.name'), name);
  const [head, tail] = splitTag(item.tag);
  setText(entry.querySelector('.head'), head);
  setText(entry.querySelector('.tail'), tail);
  tick(entry);
}

function tick(entry) {
  const seconds = (shownMs() - Date.parse(entry.dataset.since)) / 1000;
  setText(entry.querySelector('.long'), duration(seconds));
  entry.classList.toggle('fresh', seconds < FRESH_S && status === 'live');
}

const counts = new Map(STATES.map((state) => {
  const count = h('strong', {});
  byId('counts').append(h('li', {class: state}, count,
    h('span', {class: `mark ${state}`, 'aria-hidden': 'true'}), h('span', {class: 'word'}, t(`state.${state}`))));
  return [state, count];
}));

let drawTimer;
function drawSoon() {
  drawTimer ??= setTimeout(draw, DRAW_MS);
}

function draw() {
  clearTimeout(drawTimer);
  drawTimer = undefined;
  for (const [state, count] of Object.entries(model.counts())) setText(counts.get(state), number(count));
  const items = [...model.items.values()];
  const held = items.filter(({holder}) => holder);
  // In the order of names, so that each worker stays in the same place.
  held.sort((one, other) => one.holder.name.localeCompare(other.holder.name, locale)
    || Date.parse(one.since) - Date.parse(other.since));
  holders.show(held);
  byId('no-holders').hidden = held.length > 0;
  const stopped = items.filter(({state}) => state === 'blocked' || state === 'paused');
  stopped.sort((one, other) => one.state.localeCompare(other.state) // blocked before paused
    || Date.parse(one.since) - Date.parse(other.since));
  still.show(stopped);
  byId('no-still').hidden = stopped.length > 0;
  drawDay();
}

model.onChange(drawSoon);

// The chart of the day

const inHand = new Plot({series: [
  {name: 'occupied', kind: 'stack'},
  {name: 'paused', kind: 'stack', hatched: 45},
  {name: 'blocked', kind: 'stack', hatched: -45},
], format: number});
const completed = new Plot({series: [{name: 'completed', kind: 'bar'}], format: number, isBare: true});
byId('in-hand').append(inHand.element);
byId('completed').append(completed.element);
byId('legend').append(...IN_HAND.map((state) => (
  h('span', {class: 'state'}, h('span', {class: `mark ${state}`, 'aria-hidden': 'true'}), t(`state.${state}`)))));

function drawDay() {
  const to = serverNow();
  const from = to - DAY_HOURS * 3600 * 1000;
  const now = model.counts();
  const points = timeline.length === 0 ? [] : [...timeline, {
    at: Math.max(shownMs(), timeline.at(-1).at), counts: now,
    completions: completions.filter(({seq}) => seq > timelineSeq)
      .reduce((sum, {count}) => sum + count, timeline.at(-1).completions),
  }];
  const ticks = hoursBetween(from, to, 2).map((at) => ({at, text: hour.format(at)}));
  const words = IN_HAND.map((state) => `${t(`state.${state}`)} ${number(now[state])}`).join(', ');
  inHand.draw({from, to, ticks, rows: countsOf(points, IN_HAND, from), least: 3, label: `${t('wall.day')}: ${words}`});
  const today = completedToday(points, to);
  const said = today === null ? ''
    : today.isWhole ? tn('wall.today', today.count)
      : tn('wall.completed_since', today.count, {since: short.format(today.since)});
  setText(byId('today'), said);
  completed.draw({from, to, ticks, rows: completedPerHour(points, from, to), least: 3,
    label: `${t('wall.completed')}: ${said}`});
}

async function loadTimeline() {
  const answer = await api.get(`${path}/timeline?hours=${TIMELINE_HOURS}`);
  timeline = readTimeline(answer);
  timelineSeq = answer.seq;
  completions = completions.filter(({seq}) => seq > timelineSeq);
  drawSoon();
}

// Loading and following

async function reload(signal) {
  const first = await api.get(`${path}/items`, {timeoutMs: 30000});
  const items = first.items;
  let {version_floor} = first;
  for (let {next} = first; next;) {
    const page = await api.get(`${path}/items?page=${encodeURIComponent(next)}`, {timeoutMs: 30000});
    items.push(...page.items);
    ({next} = page);
    version_floor = Math.min(version_floor, page.version_floor);
  }
  signal.throwIfAborted();
  heard();
  model.load(items, version_floor);
  byId('wall').hidden = false;
  byId('passing').hidden = true;
  loadTimeline().catch(() => {}); // only the chart waits for the next time
  settings.load().catch(() => {}); // the stream says its version, and it is loaded again
  return {...first, version_floor};
}

function apply(event) {
  heard();
  const count = transitionOf(event)?.completions;
  if (count) completions = [...completions.slice(-4999), {seq: event.seq, count}];
  model.apply(event);
}

function heard() {
  upToDateMs = serverNow();
}

function onStatus(next) {
  if (next === 'live' && status !== 'live') {
    heard();
    if (status !== 'connecting') version.checkSoon(); // the server may have been upgraded
  }
  status = next;
  byId('live').dataset.status = next;
  setText(byId('live'), t(`live.${next}`));
  showAge();
  drawSoon();
}

/** Shows that the data is old, and its time. */
function showAge() {
  const banner = byId('banner');
  const isOld = upToDateMs !== null && ['degraded', 'offline'].includes(status);
  document.body.classList.toggle('old', isOld);
  if (isOld) {
    setText(banner, t('wall.old', {since: sinceText(upToDateMs)}));
  }
  banner.hidden = !isOld;
  const passing = byId('passing');
  passing.hidden = upToDateMs !== null || !byId('told').hidden;
  setText(passing, t(`live.${status}`));
}

function onDenied(code) {
  stop();
  setText(byId('told-command'), '');
  if (code === 401) {
    setText(byId('told-title'), t('wall.signed_out'));
    setText(byId('told-text'), t('wall.sign_in'));
    setText(byId('told-command'), `${location.origin}/programs`);
  } else {
    setText(byId('told-title'), code === 404 ? t('board.none', {board}) : t('wall.forbidden'));
    setText(byId('told-text'), code === 404 ? t('wall.check_address') : t('wall.other_link', {board}));
  }
  byId('told').hidden = false;
  showAge();
  startAgainIn(AGAIN_MS);
}

function stop() {
  turn += 1;
  live?.stop();
  live = null;
  status = 'connecting';
  upToDateMs = null;
  timeline = [];
  completions = [];
  model.load([]);
  byId('wall').hidden = true;
  setText(byId('live'), '');
}

let turn = 0; // a stopped Live may still be loading; its results are ignored

async function start() {
  clearTimeout(again);
  try {
    const {idle_s: idleS, worker} = await api.get('/api/session');
    // A person's session ends when idle, and nobody touches a wallboard.
    setText(byId('ends'), idleS ? t('wall.session_ends', {name: worker.name, after: duration(idleS)}) : '');
  } catch (problem) {
    if (problem.status === 401 || problem.status === 403) {
      onDenied(problem.status);
    } else {
      onStatus('offline');
      startAgainIn(5000);
    }
    return;
  }
  byId('told').hidden = true;
  stop();
  const mine = turn;
  const ifMine = (hook) => (...given) => (mine === turn ? hook(...given) : undefined);
  live = new Live(board, {
    async reload(signal) {
      if (mine !== turn) throw new api.Problem({status: 401}); // ends its retries
      return reload(signal);
    },
    onSettings: ifMine((version) => settings.told(version)),
    apply: ifMine(apply), onStatus: ifMine(onStatus), onDenied: ifMine(onDenied),
  });
  onStatus('connecting');
  await live.start();
}

let again;
function startAgainIn(ms) {
  clearTimeout(again);
  again = setTimeout(start, ms * (0.75 + Math.random() / 2));
}

// The clock, and everything that depends on it

function everySecond() {
  const now = new Date(serverNow());
  setText(byId('clock'), short.format(now));
  setText(byId('date'), day.format(now));
  if (status === 'live' && live?.heardMs) {
    // By the stream's heartbeats and the checks of the server, whether or not this tab holds the stream.
    upToDateMs = Math.max(upToDateMs, serverNow() - (elapsed() - live.heardMs));
  }
  for (const entry of document.querySelectorAll('.entry')) tick(entry);
}

function turnPages() {
  if (!isTurning) return;
  holders.turn();
  still.turn();
}

listen({
  ' ': () => {
    isTurning = !isTurning;
    document.body.classList.toggle('stands', !isTurning);
  },
  ArrowRight: () => {
    holders.turn();
    still.turn();
  },
}, scanning({
  board,
  find: (tag) => model.find(tag),
  select: (tag) => {
    const {state, holder} = model.items.get(tag);
    return [`${tag}: ${t(`state.${state}`)}`, holder?.name].filter(Boolean).join(' · ');
  },
  hindrance: () => (upToDateMs === null ? t('scan.loading') : ''),
}));

// A sign-in or sign-out in another tab.
if ('BroadcastChannel' in globalThis) {
  new BroadcastChannel('occupancy-session').addEventListener('message', ({data}) => {
    if (data === 'changed') startAgainIn(500);
  });
}

const version = followVersion(versionIn(import.meta.url));
stayAwake();
onRestored(() => {
  stop(); // the server may be away, and cannot say whether the session has ended
  return start();
});
setInterval(everySecond, 1000);
setInterval(turnPages, PAGE_S * 1000);
setInterval(draw, 60 * 1000);
setInterval(() => { if (live && status === 'live') loadTimeline().catch(() => {}); }, TIMELINE_MS);
everySecond();
await start();
