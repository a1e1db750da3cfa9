// The timers of live delivery: each is cleared when its reason has passed, and begins anew.

import assert from 'node:assert/strict';
import {afterEach, beforeEach, mock, test} from 'node:test';

import {Live} from '../../occupancy/web/ui/static/js/live.js';
import {FakeLeadership, fakeChannels, fakeSources, install, pass, settle} from './fakes.js';

let restore;
let page; // stands for document and window
let sources;
let probes;
let tab;

beforeEach(async () => {
  mock.timers.enable({apis: ['setTimeout', 'setInterval', 'Date']});
  page = Object.assign(new EventTarget(), {hidden: false});
  restore = install({document: page, addEventListener: page.addEventListener.bind(page)});
  sources = fakeSources();
  probes = 0;
  tab = {statuses: []};
  tab.live = new Live('main', {
    reload: async () => ({cursor: '1010-0', seq: 10}),
    apply() {},
    onStatus: (status) => { if (tab.statuses.at(-1) !== status) tab.statuses.push(status); },
    onDenied() {},
  }, {
    Source: sources.Source,
    Channel: fakeChannels(),
    leadership: (handlers) => { tab.leadership = new FakeLeadership(handlers); return tab.leadership; },
    probe: async () => { probes += 1; return 200; },
    now: () => Date.now(), // the mocked one
  });
  tab.live.start();
  await settle();
  tab.leadership.gain();
  ready();
});
afterEach(() => {
  tab.live.stop();
  mock.timers.reset();
  restore();
});

const stream = () => sources.opened.at(-1);

function ready() {
  stream().say('ready', {cursor: '1010-0', seq: 10});
}

function show(isShown) {
  page.hidden = !isShown;
  page.dispatchEvent(new Event('visibilitychange'));
}

test('a page that was hidden for a moment keeps its stream', async () => {
  show(false);
  pass(30_000);
  show(true);
  pass(120_000);
  await settle();
  assert.equal(sources.opened.length, 1);
  assert.equal(stream().readyState, 1);
  assert.equal(tab.leadership.isCandidate, true);
});

test('each time that a page is hidden it has the whole minute', () => {
  show(false);
  pass(40_000);
  show(true);
  show(false);
  pass(40_000);
  assert.equal(stream().readyState, 1);
  pass(21_000);
  assert.equal(stream().readyState, 2);
});

test('a stream that is back within seconds never was offline', () => {
  stream().fail(0);
  assert.equal(tab.statuses.at(-1), 'connecting');
  pass(3000);
  ready();
  pass(60_000);
  assert.deepEqual(tab.statuses.slice(-2), ['connecting', 'live']);
  assert.equal(tab.statuses.includes('offline'), false);
});

test('after a long outage the next one is tried as soon as the first', async () => {
  for (let outage = 0; outage < 6; outage += 1) { // each waits twice as long
    stream().fail(2);
    await settle();
    pass(50_000);
  }
  ready();
  const opened = sources.opened.length;
  stream().fail(2);
  await settle();
  pass(1550); // at most one and a half times the first wait
  assert.equal(sources.opened.length, opened + 1);
});

test('a stream on which something happens is never doubted', async () => {
  for (let seq = 11; seq < 21; seq += 1) {
    pass(5000);
    stream().say('item', {seq}, `${1000 + seq}-0`);
    await settle();
  }
  assert.equal(probes, 0);
  assert.equal(sources.opened.length, 1);
});

test('a tab that has stopped wakes up no more', () => {
  tab.live.stop();
  let woken = 0;
  Object.defineProperty(tab.leadership, 'isLeading', {get() { woken += 1; return false; }});
  pass(120_000);
  assert.equal(woken, 0);
});
