// Live delivery to several tabs: one stream, no event lost or repeated, and a true status.

import assert from 'node:assert/strict';
import {afterEach, beforeEach, mock, test} from 'node:test';

import {Live} from '../../occupancy/web/ui/static/js/live.js';
import {FakeLeadership, fakeChannels, fakeSources, install, pass, settle} from './fakes.js';

let restore;
let page; // stands for document and window
let server; // what the snapshot answers
let sources;
let Channel;
const lives = [];

beforeEach(() => {
  mock.timers.enable({apis: ['setTimeout', 'setInterval', 'Date']});
  page = Object.assign(new EventTarget(), {hidden: false});
  restore = install({document: page, addEventListener: page.addEventListener.bind(page)});
  sources = fakeSources();
  Channel = fakeChannels();
  server = {seq: 10, floor: 0, status: 200, probe: 200, reloads: 0};
});
afterEach(() => {
  for (const live of lives.splice(0)) live.stop();
  mock.timers.reset();
  restore();
});

const cursorOf = (seq) => `${1000 + seq}-0`;

/** A tab; `applied`, `statuses` and `denied` are what its page was told. */
function openTab() {
  const tab = {applied: [], statuses: [], denied: [], settings: []};
  tab.live = new Live('main', {
    async reload() {
      server.reloads += 1;
      if (server.hold) await server.hold;
      if (server.status !== 200) throw Object.assign(new Error('refused'), {status: server.status});
      return {cursor: cursorOf(server.seq), seq: server.seq, version_floor: server.floor};
    },
    apply: (event) => tab.applied.push(event.seq),
    isAhead: () => tab.isAhead,
    onSettings: (version) => { if (tab.settings.at(-1) !== version) tab.settings.push(version); },
    onStatus: (status) => { if (tab.statuses.at(-1) !== status) tab.statuses.push(status); },
    onDenied: (status) => tab.denied.push(status),
  }, {
    Source: sources.Source,
    Channel,
    leadership: (handlers) => { tab.leadership = new FakeLeadership(handlers); return tab.leadership; },
    probe: async () => server.probe,
    now: () => Date.now(), // the mocked one
  });
  lives.push(tab.live);
  tab.started = tab.live.start();
  return tab;
}

/** `count` tabs that follow the board, of which the first leads. */
async function openTabs(count) {
  const tabs = Array.from({length: count}, openTab);
  await settle();
  tabs[0].leadership.gain();
  stream().say('ready', {cursor: cursorOf(server.seq), seq: server.seq});
  return tabs;
}

const stream = () => sources.opened.at(-1);

function happen(...numbers) {
  for (const seq of numbers) stream().say('item', {seq}, cursorOf(seq));
}

test('the leader opens one stream from the snapshot\'s cursor, and all tabs hear it', async () => {
  const tabs = await openTabs(3);
  assert.equal(sources.opened.length, 1);
  assert.equal(stream().address, '/api/boards/main/events?after=1010-0');
  happen(11, 12);
  for (const tab of tabs) {
    assert.deepEqual(tab.applied, [11, 12]);
    assert.deepEqual(tab.statuses.at(-1), 'live');
  }
});

test('what was heard before is not applied again', async () => {
  const [tab] = await openTabs(1);
  happen(11, 11, 10, 12);
  assert.deepEqual(tab.applied, [11, 12]);
});

test('a hole is never stepped over: the snapshot is loaded again', async () => {
  const [tab, other] = await openTabs(2);
  server.seq = 13;
  happen(13);
  await settle();
  happen(14);
  assert.deepEqual(tab.applied, [14]);
  assert.deepEqual(other.applied, [14]);
  assert.equal(server.reloads, 4);
});

test('a reset loads the snapshot, in every tab', async () => {
  const tabs = await openTabs(2);
  server.seq = 40;
  stream().say('reset', {cursor: cursorOf(40), seq: 40});
  await settle();
  happen(41);
  for (const tab of tabs) assert.deepEqual(tab.applied, [41]);
});

test('a snapshot from before the promotion that a reset tells of is loaded again', async () => {
  const tabs = await openTabs(2);
  stream().say('reset', {cursor: cursorOf(8), seq: 8, version_floor: 5e9});
  await settle();
  for (const tab of tabs) assert.equal(tab.statuses.at(-1), 'degraded');
  Object.assign(server, {seq: 8, floor: 5e9}); // that process knows of it now
  pass(2000);
  await settle();
  happen(9);
  for (const tab of tabs) {
    assert.deepEqual(tab.applied, [9]);
    assert.equal(tab.statuses.at(-1), 'live');
  }
});

test('a stream that is live after a promotion loads a snapshot from before it again', async () => {
  const [tab] = await openTabs(1);
  const before = server.reloads;
  Object.assign(server, {seq: 9, floor: 5e9});
  stream().say('ready', {cursor: cursorOf(9), seq: 9, version_floor: 5e9});
  await settle();
  assert.equal(server.reloads, before + 1);
  happen(10);
  assert.deepEqual(tab.applied, [10]);
});

test('a server that was emptied has a lower floor, and its snapshot is taken', async () => {
  server.floor = 5e9;
  const [tab] = await openTabs(1);
  Object.assign(server, {seq: 0, floor: 0});
  stream().say('reset', {cursor: cursorOf(0), seq: 0, version_floor: 0});
  await settle();
  happen(1);
  assert.deepEqual(tab.applied, [1]);
});

for (const name of ['ready', 'recovered']) {
  test(`an answer whose event has not come by ${name} was lost, and the snapshot is loaded again`, async () => {
    const [tab, other] = await openTabs(2);
    const before = server.reloads;
    stream().say(name, {cursor: cursorOf(10), seq: 10});
    await settle();
    assert.equal(server.reloads, before);
    other.isAhead = true;
    happen(11);
    await settle();
    assert.equal(server.reloads, before); // other events come first
    stream().say(name, {cursor: cursorOf(11), seq: 11});
    await settle();
    assert.equal(server.reloads, before + 1);
    assert.deepEqual([tab.applied, other.applied], [[11], [11]]);
  });
}

test('an answer whose event does not come for a while was lost, and the snapshot is loaded again', async () => {
  const [tab] = await openTabs(1);
  const before = server.reloads;
  tab.isAhead = true;
  pass(10000);
  tab.isAhead = false;
  pass(10000);
  await settle();
  assert.equal(server.reloads, before); // its event has come
  tab.isAhead = true;
  pass(20000);
  await settle();
  assert.equal(server.reloads, before + 1);
});

test('what comes while a snapshot is loading is kept, and applied after it if it is newer', async () => {
  const [tab] = await openTabs(1);
  let letGo;
  server.hold = new Promise((resolve) => { letGo = resolve; });
  stream().say('reset');
  happen(11, 12, 13);
  assert.deepEqual(tab.applied, []);
  server.seq = 12;
  letGo();
  await settle();
  assert.deepEqual(tab.applied, [13]);
});

test('a reset while a snapshot is loading loads another', async () => {
  await openTabs(1);
  let letGo;
  server.hold = new Promise((resolve) => { letGo = resolve; });
  const before = server.reloads;
  stream().say('reset');
  stream().say('reset');
  letGo();
  await settle();
  assert.equal(server.reloads, before + 2);
});

test('when the leader goes another opens a stream from where it is itself', async () => {
  const [first, second, third] = await openTabs(3);
  happen(11);
  first.live.stop();
  assert.equal(sources.opened[0].readyState, 2);
  second.leadership.gain();
  assert.equal(stream().address, '/api/boards/main/events?after=1011-0');
  happen(12, 13);
  assert.deepEqual(second.applied, [11, 12, 13]);
  assert.deepEqual(third.applied, [11, 12, 13]);
});

test('a tab that is opened later is told how it stands, and goes on from what it has loaded', async () => {
  await openTabs(1);
  happen(11, 12);
  server.seq = 12;
  const late = openTab();
  await settle();
  assert.equal(late.statuses.at(-1), 'live');
  happen(13);
  assert.deepEqual(late.applied, [13]);
  assert.equal(sources.opened.length, 1);
});

test('the position that the leader says now and then shows what was missed', async () => {
  const [, other] = await openTabs(2);
  happen(11);
  other.live.seq = 10; // as if it had not heard number 11
  other.live.cursor = cursorOf(10);
  other.applied.length = 0;
  server.seq = 11;
  const before = server.reloads;
  pass(10_000);
  await settle();
  assert.equal(server.reloads, before + 1);
  happen(12);
  assert.deepEqual(other.applied, [12]);
});

test('every tab is told which version the settings have', async () => {
  const [leader, other] = await openTabs(2);
  stream().say('board', {settings_version: 7});
  assert.deepEqual([leader.settings, other.settings], [[7], [7]]);
  const late = openTab();
  await late.started;
  pass(10_000); // the leader says its position now and then
  await settle();
  assert.deepEqual(late.settings, [7]);
});

test('degraded and recovered are said', async () => {
  const [tab] = await openTabs(1);
  stream().say('degraded');
  stream().say('recovered');
  assert.deepEqual(tab.statuses.slice(-3), ['live', 'degraded', 'live']);
});

test('a lost connection is connecting first, and offline after some seconds', async () => {
  const [tab, other] = await openTabs(2);
  stream().fail(0);
  assert.equal(tab.statuses.at(-1), 'connecting');
  pass(4000);
  stream().fail(0);
  assert.equal(tab.statuses.at(-1), 'connecting');
  pass(3000);
  assert.equal(tab.statuses.at(-1), 'offline');
  stream().fail(0); // the next attempt fails too: that is no news
  assert.equal(tab.statuses.at(-1), 'offline');
  stream().say('ready', {cursor: cursorOf(10), seq: 10});
  assert.equal(tab.statuses.at(-1), 'live');
  pass(60_000);
  assert.deepEqual(other.statuses, tab.statuses);
  assert.equal(tab.statuses.at(-1), 'live');
});

test('a status that ends the stream for good is looked at, and the stream opened again', async () => {
  const [tab] = await openTabs(1);
  stream().fail(2);
  await settle();
  assert.equal(tab.statuses.at(-1), 'offline');
  assert.equal(sources.opened.length, 1);
  pass(1500);
  assert.equal(sources.opened.length, 2);
  stream().say('ready', {cursor: cursorOf(10), seq: 10});
  assert.equal(tab.statuses.at(-1), 'live');
});

test('the wait between attempts grows, and is never the same for two browsers', async () => {
  await openTabs(1);
  const waits = [];
  for (let attempt = 0; attempt < 8; attempt += 1) {
    const count = sources.opened.length;
    stream().fail(2);
    await settle();
    let waitedMs = 0;
    while (sources.opened.length === count) {
      pass(100);
      waitedMs += 100;
      assert.ok(waitedMs <= 45_100, 'half a minute and a half at most');
    }
    waits.push(waitedMs);
  }
  assert.ok(waits[0] <= 1600);
  assert.ok(Math.max(...waits.slice(-3)) > 4 * waits[0]);
  assert.ok(new Set(waits).size > 3);
});

test('who may not watch is told so, in every tab, and the stream stays closed', async () => {
  const tabs = await openTabs(2);
  server.probe = 403;
  stream().fail(2);
  await settle();
  pass(120_000);
  for (const tab of tabs) assert.deepEqual(tab.denied, [403]);
  assert.equal(sources.opened.length, 1);
});

test('a snapshot that is refused for good is told, one that fails is asked for again', async () => {
  server.status = 503;
  const tab = openTab();
  await settle();
  assert.equal(tab.statuses.at(-1), 'offline');
  server.status = 200;
  pass(1500);
  await settle();
  tab.leadership.gain();
  assert.equal(sources.opened.length, 1);

  server.status = 404;
  const refused = openTab();
  await settle();
  assert.deepEqual(refused.denied, [404]);
});

test('a lead that comes before the first snapshot waits for it', async () => {
  let letGo;
  server.hold = new Promise((resolve) => { letGo = resolve; });
  const tab = openTab();
  tab.leadership.gain();
  assert.equal(sources.opened.length, 0);
  letGo();
  await settle();
  assert.equal(sources.opened.length, 1);
});

test('after a minute that nobody looks the stream is let go, and caught up with later', async () => {
  const [tab] = await openTabs(1);
  page.hidden = true;
  page.dispatchEvent(new Event('visibilitychange'));
  pass(59_000);
  assert.equal(stream().readyState, 1);
  pass(2000);
  assert.equal(stream().readyState, 2);
  server.seq = 20;
  page.hidden = false;
  page.dispatchEvent(new Event('visibilitychange'));
  await settle();
  tab.leadership.gain();
  assert.equal(stream().address, '/api/boards/main/events?after=1020-0');
});

test('a page that the browser puts aside leaves the lead, and catches up when it is shown again', async () => {
  const [tab] = await openTabs(1);
  page.dispatchEvent(new Event('pagehide'));
  assert.equal(stream().readyState, 2);
  const before = server.reloads;
  page.dispatchEvent(Object.assign(new Event('pageshow'), {persisted: true}));
  await settle();
  assert.equal(server.reloads, before + 1);
  assert.equal(tab.leadership.isCandidate, true);
});

test('a stream that is silent is doubted, and given up when the server is away', async () => {
  const [tab] = await openTabs(1);
  pass(30_000);
  await settle();
  assert.equal(sources.opened.length, 1);
  assert.equal(tab.statuses.at(-1), 'live'); // the server was there: nothing happens on the board
  server.probe = 0;
  pass(30_000);
  await settle();
  assert.equal(sources.opened[0].readyState, 2);
  assert.equal(tab.statuses.at(-1), 'offline');
  pass(1500);
  assert.equal(sources.opened.length, 2);
});

test('offline is believed at once, and online too', async () => {
  const [tab] = await openTabs(1);
  server.probe = 0;
  page.dispatchEvent(new Event('offline'));
  assert.equal(tab.statuses.at(-1), 'offline');
  assert.equal(sources.opened[0].readyState, 2);
  await settle();
  page.dispatchEvent(new Event('online'));
  assert.equal(sources.opened.length, 2);
  pass(60_000);
  assert.equal(sources.opened.filter((each) => each.readyState !== 2).length, 1, 'one stream, not two');
});

test('a tab that has stopped opens nothing and hears nothing', async () => {
  const [tab, other] = await openTabs(2);
  tab.live.stop();
  page.dispatchEvent(new Event('online'));
  page.dispatchEvent(new Event('visibilitychange'));
  pass(120_000);
  await settle();
  assert.equal(sources.opened.length, 1);
  other.leadership.gain();
  happen(11);
  assert.deepEqual(tab.applied, []);
  assert.deepEqual(other.applied, [11]);
});

test('a snapshot that is still on its way when a tab stops opens nothing', async () => {
  let letGo;
  server.hold = new Promise((resolve) => { letGo = resolve; });
  const tab = openTab();
  await settle();
  tab.live.stop();
  const told = tab.statuses.length;
  letGo();
  await settle();
  assert.equal(tab.leadership.isCandidate, false);
  assert.equal(tab.statuses.length, told);
});
