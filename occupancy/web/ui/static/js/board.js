// The board page: who works on what, right now; one touch takes, pauses or completes.

import {Actions} from './actions.js';
import {ActiveRow} from './active_row.js';
import {Batch} from './batch.js';
import {BoardKeeper} from './board_keeper.js';
import {BoardOperations} from './board_operations.js';
import {BoardSettings} from './board_settings.js';
import {BoardView} from './board_view.js';
import {Card} from './card.js';
import {serverNow} from './clock.js';
import {announce, byId, setHidden, setText} from './dom.js';
import {readView, writeView} from './filter.js';
import {FilterBar} from './filter_bar.js';
import {sinceText, t} from './i18n.js';
import {tickRows} from './item_parts.js';
import {Live} from './live.js';
import {Model} from './model.js';
import {MyWork} from './my_work.js';
import {Notices, toldBy} from './notice.js';
import {OfflineBoard} from './offline_board.js';
import {start, startAgain} from './page.js';
import {nameOf} from './person_name.js';
import * as session from './session.js';
import {loadSnapshot} from './snapshot.js';
import {filterTaps} from './tap_filter.js';
import {ViewControls} from './view_controls.js';
import {showWaitingOf, waiting} from './waiting.js';
import {WaitingEnds} from './waiting_ends.js';

const board = document.body.dataset.board;
const model = new Model();
const filter = readView();
let boardSteps = [];
let live = null;
let snapshotEtag = null;
let lastHeard = null; // the last time when the page was known to be up to date
let status = 'connecting';
let isLoaded = false; // whether the model came from the server
let isDenied = false;
let preparing = 0; // the timer of prepareSearch
let isSignedOut = false; // false until the server has answered

const me = () => operations.me;

const offline = new OfflineBoard(board, clear);
const keeper = new BoardKeeper(board, () => (isLoaded && offline.kept === null && settings.board ? {
  items: model.items, settings: settings.board, versionFloor: model.versionFloor,
  heardMs: status === 'live' ? serverNow() : lastHeard,
} : null));
const settings = new BoardSettings(board, showBoard);
const notices = new Notices({onShow: (tag) => active.find(tag)});
const actions = new Actions(board, model, (tag) => { view.list.refresh(tag); view.soon(); });
const ends = new WaitingEnds(board, {worker: () => offline.worker(), isOffline: () => status === 'offline',
  canAct: () => operations.canAct()});
const operations = new BoardOperations(board, {
  model, actions, notices, offline, ends, situation: () => ({status, steps: boardSteps}),
  onAct(tag) {
    if (tag !== null) active.set(tag);
    view.attention.note(); // the row keeps its place
  }});
const touches = {
  hindrance: (operation, item) => ends.whyNot(operation, item),
  onHindered: (why, tag) => operations.tellHindrance(why, tag),
  onAct: (operation, tag) => operations.act(operation, tag),
};
const myWork = new MyWork(byId('my-work'), {
  count: byId('my-count'), more: byId('my-more'), actions, settings, ...touches,
  onShow: (tag) => active.find(tag)});
const batch = new Batch(board, {model, actions, canAct: () => operations.canAct(),
  offered: (item) => operations.offered(item),
  onChange: (tags) => { for (const tag of tags) view.list.refresh(tag); },
  onFull: () => notices.say(t('batch.most'), {kind: 'refused'}),
  onDone: (text, how) => notices.say(text, how)});
const card = new Card({
  actions,
  settings,
  isChosen: (tag) => batch.tags.has(tag),
  isActive: (tag) => tag === active.tag,
  waits: (tag) => ends.line(tag),
  offered: (item) => operations.offered(item),
  ...touches,
  onChoose: (tag) => batch.toggle(tag),
});
const filterBar = new FilterBar(filter, {settings, onChange: showFiltered, onLeave: () => active.enter()});
const view = new BoardView(filter, {model, settings, card, onShown: showAround, isLoaded: () => isLoaded,
  reader: () => ({worker: me(), steps: boardSteps}), onSort: (by) => controls.sortBy(by)});
const controls = new ViewControls(filter, {attributes: () => view.attributes, onChange: showFiltered});
const active = new ActiveRow(board, {model, view, filterBar, myWork});

// Loading and following

async function reload(signal) {
  const known = new Map(model.unheard);
  const found = await loadSnapshot(board, model.unheard.size > 0 ? null : snapshotEtag);
  if (found === null) return {cursor: live.cursor, seq: live.seq, version_floor: model.versionFloor};
  signal.throwIfAborted();
  snapshotEtag = found.etag;
  lastHeard = serverNow();
  const before = isLoaded ? model.heldBy(me()) : null;
  // What the user has done since the snapshot was asked for, which may be of before.
  const own = new Set([...model.unheard.keys()].filter((tag) => model.unheard.get(tag) !== known.get(tag)));
  isLoaded = true;
  model.load(found.items, found.version_floor);
  prepareSearch();
  if (before) notices.tellMissed(before, model.heldBy(me()), own);
  return found;
}

/** Prepares the search in small pieces, so that neither the page nor the first letter waits for all of it. */
function prepareSearch() {
  clearTimeout(preparing);
  preparing = setTimeout(() => { if (model.prepareSearch(200)) prepareSearch(); }, 30);
}

function apply(event) {
  snapshotEtag = null; // the model is newer than the snapshot
  lastHeard = serverNow();
  const before = model.items.get(event.item.tag);
  model.apply(event);
  const {item, actor} = event;
  const told = toldBy(event, before, me());
  if (told !== null) {
    notices.say(told, {kind: 'mine', tag: item.tag});
  } else if (actor.id !== me()) {
    announce(t(`event.${event.type}`, {tag: item.tag, actor: nameOf(actor), holder: item.holder?.name ?? ''}));
  }
}

function showStatus(next) {
  status = next;
  if (next === 'live') waiting.deliver();
  const isOld = next !== 'live';
  const chip = byId('live');
  chip.dataset.status = next;
  setText(chip, t(`live.${next}`));
  const banner = byId('banner');
  banner.hidden = !isOld || lastHeard === null || next === 'connecting';
  if (!banner.hidden) setText(banner, offline.sentence() || t('live.old', {since: sinceText(lastHeard)}));
  view.list.redraw();
  view.soon();
}

async function denied(code) {
  stop();
  clear();
  isDenied = code !== 401;
  if (isDenied) {
    byId('my-work-bar').hidden = true;
    setText(byId('banner'), code === 404 ? t('board.none', {board}) : t('refusal.forbidden'));
    byId('banner').hidden = false;
  } else {
    await startAgain(run);
  }
}

/** Hides the board, which the user may not see, or not yet. */
function clear() {
  offline.close();
  batch.clear();
  snapshotEtag = null;
  lastHeard = null;
  isLoaded = false;
  isDenied = false;
  model.load([]);
  settings.clear();
  showStatus('connecting');
  setText(byId('live'), ''); // the page follows no events
}

function stop() {
  keeper.stop();
  live?.stop();
  live = null;
}

async function run(who) {
  stop();
  notices.clear();
  actions.forget();
  clear();
  isSignedOut = !who;
  byId('mine').hidden = !session.may('worker');
  byId('my-work-bar').hidden = !session.may('worker');
  if (!who) return;
  showStatus('connecting');
  live = new Live(board, {
    reload, apply, isAhead: () => model.unheard.size > 0,
    onSettings: (version) => settings.told(version), onStatus: showStatus, onDenied: denied,
  });
  settings.load().catch(() => {});
  keeper.start();
  await live.start();
}

/** Shows the board that was kept on the device, until the server has said who is signed in. Answers whether it can. */
async function showKept() {
  const kept = await offline.open();
  if (kept === null) return false;
  isLoaded = true;
  lastHeard = kept.heardMs;
  model.load(kept.items, kept.versionFloor);
  settings.show(kept.settings);
  byId('mine').hidden = byId('my-work-bar').hidden = kept.worker.role === 'observer';
  showWaitingOf(kept.worker);
  showStatus('offline');
  return true;
}

start(run, listenToKeys, {onAway: showKept});

function showBoard(found) {
  setText(byId('title'), found.title);
  document.title = `${found.title} · occupancy`;
  boardSteps = found.steps;
  filterBar.offerSteps(found.steps);
  controls.draw();
  view.settle(); // what is offered depends on the steps
}

// Drawing

/** Applies a new filter at once: the user expects the list to change. */
function showFiltered() {
  setTimeout(writeView, 0, filter); // after the frame: it takes as long as the list
  view.filtered();
}

/** Draws what is around the list; `count` is the number of items that the filter shows. */
function showAround(count) {
  active.follow();
  filterBar.draw({counts: model.counts(), known: model.items.size, count, isLoaded, isSignedIn: !isSignedOut, isDenied,
    status});
  const held = model.heldBy(me());
  myWork.draw(held);
  setHidden(byId('no-work'), !isLoaded || held.length > 0);
  batch.draw();
}

model.onChange((tags) => {
  keeper.changed();
  notices.check();
  view.changed(tags);
});

waiting.onChange((done) => {
  view.list.redraw();
  view.soon();
  if (done?.board === board) notices.say(t(`done.${done.operation}`, {tag: done.tag}), {tag: done.tag});
});

function hindrance() {
  if (me() === null) return t('scan.sign_in_first');
  return isLoaded ? '' : t('scan.loading');
}

function listenToKeys() {
  active.listen({hindrance, notices, onChoose: (tag) => batch.toggle(tag),
    onOperation: (operation, tag) => operations.act(operation, tag)});
}

setInterval(() => {
  if (offline.kept !== null) setText(byId('banner'), offline.sentence());
  tickRows(view.list.rows.values());
  myWork.tick();
}, 1000);
filterTaps('.items, .my-work, .foot, #ask-dialog');
view.draw();
