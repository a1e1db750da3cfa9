// The wallboard: a board on a screen that nobody touches, for weeks.
//
// Its memory is bounded: the items of the board, the points of one timeline, as many rows as fit. It
// never shows a dialog: if somebody must act, it says how, and continues by itself.

import * as api from './api.js';
import {BoardSettings} from './board_settings.js';
import {elapsed, serverNow} from './clock.js';
import {byId, setText} from './dom.js';
import {duration, locale, sinceText, t} from './i18n.js';
import {listen} from './keys.js';
import {followVersion, stayAwake, versionIn} from './kiosk.js';
import {Live} from './live.js';
import {Model} from './model.js';
import {onRestored} from './restored.js';
import {scanning} from './scan.js';
import {transitionOf} from './transitions.js';
import {WallView} from './wall_view.js';

const TIMELINE_HOURS = 24; // requested: it must contain a midnight
const TIMELINE_MS = 10 * 60 * 1000;
const PAGE_S = 12;
const AGAIN_MS = 60 * 1000;

const {board} = document.body.dataset;
const path = `/api/boards/${board}`;
const model = new Model();
const settings = new BoardSettings(board, ({title}) => {
  setText(byId('title'), title);
  document.title = `${title} · occupancy`;
  view.drawSoon();
});
let live = null;
let status = 'connecting';
let upToDateMs = null; // the last time when the page was known to be up to date
let isTurning = true;

const short = new Intl.DateTimeFormat(locale, {timeStyle: 'short'});
const day = new Intl.DateTimeFormat(locale, {weekday: 'long', day: 'numeric', month: 'long'});

/** The time of the displayed data: it stops while nothing arrives. */
function shownMs() {
  return status === 'live' || upToDateMs === null ? serverNow() : upToDateMs;
}

const view = new WallView({model, settings, shownMs, isLive: () => status === 'live'});
model.onChange(() => view.drawSoon());

// The charts

async function loadTimeline() {
  view.chart.load(await api.get(`${path}/timeline?hours=${TIMELINE_HOURS}`));
  view.drawSoon();
}

// Loading and following

async function reload(signal) {
  // With the items, so that the strip of steps is there from the beginning. If it fails, the stream says the
  // version of the settings, and they are loaded again.
  const loadedSettings = settings.load().catch(() => {});
  const first = await api.get(`${path}/items`, {timeoutMs: 30000});
  const items = first.items;
  let {version_floor} = first;
  for (let {next} = first; next;) {
    const page = await api.get(`${path}/items?page=${encodeURIComponent(next)}`, {timeoutMs: 30000});
    items.push(...page.items);
    ({next} = page);
    version_floor = Math.min(version_floor, page.version_floor);
  }
  await loadedSettings;
  signal.throwIfAborted();
  heard();
  model.load(items, version_floor);
  byId('wall').hidden = false;
  byId('passing').hidden = true;
  loadTimeline().catch(() => {}); // only the chart waits for the next time
  return {...first, version_floor};
}

function apply(event) {
  heard();
  const count = transitionOf(event)?.completions;
  if (count) view.chart.count(event.seq, count);
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
  view.drawSoon();
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
  view.chart.clear();
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
  view.tick();
}

listen({
  ' ': () => {
    isTurning = !isTurning;
    document.body.classList.toggle('stands', !isTurning);
  },
  ArrowRight: () => view.turn(),
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
setInterval(() => { if (isTurning) view.turn(); }, PAGE_S * 1000);
setInterval(() => view.draw(), 60 * 1000);
setInterval(() => { if (live && status === 'live') loadTimeline().catch(() => {}); }, TIMELINE_MS);
everySecond();
await start();
