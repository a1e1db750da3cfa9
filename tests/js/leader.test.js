// Leader election among tabs: by Web Locks, or by a lease where there are none.

import assert from 'node:assert/strict';
import {afterEach, beforeEach, mock, test} from 'node:test';

import {Leadership} from '../../occupancy/web/ui/static/js/leader.js';
import {FakeStorage, install, pass, settle} from './fakes.js';

let restore;

/** Web Locks, as far as one name goes. */
class FakeLocks {
  #queue = [];

  request(name, {signal}, callback) {
    return new Promise((resolve, reject) => {
      const entry = {callback, resolve};
      signal.addEventListener('abort', () => {
        const index = this.#queue.indexOf(entry);
        if (index <= 0) return; // granted already: too late to abort
        this.#queue.splice(index, 1);
        reject(Object.assign(new Error('aborted'), {name: 'AbortError'}));
      });
      this.#queue.push(entry);
      if (this.#queue.length === 1) this.#grant();
    });
  }

  async #grant() {
    await null;
    const [entry] = this.#queue;
    entry.resolve(await entry.callback());
    this.#queue.shift();
    if (this.#queue.length > 0) this.#grant();
  }
}

function stand(name = 'main') {
  const tab = {gains: 0, losses: 0};
  tab.leadership = new Leadership(name, {
    onGain() { tab.gains += 1; },
    onLose() { tab.losses += 1; },
  });
  tab.leadership.stand();
  return tab;
}

const leading = (tabs) => tabs.filter((tab) => tab.leadership.isLeading);

beforeEach(() => { mock.timers.enable({apis: ['setTimeout', 'setInterval', 'Date']}); });
afterEach(() => {
  mock.timers.reset();
  restore();
});

test('with locks exactly one leads, and the next one follows it', async () => {
  restore = install({navigator: {locks: new FakeLocks()}});
  const tabs = [stand(), stand(), stand()];
  await settle();
  assert.deepEqual(leading(tabs), [tabs[0]]);
  tabs[0].leadership.resign();
  await settle();
  assert.deepEqual(leading(tabs), [tabs[1]]);
  assert.deepEqual([tabs[0].gains, tabs[0].losses], [1, 1]);
});

test('who resigns while it waits is passed over, and can stand again', async () => {
  restore = install({navigator: {locks: new FakeLocks()}});
  const tabs = [stand(), stand(), stand()];
  await settle();
  tabs[1].leadership.resign();
  tabs[0].leadership.resign();
  await settle();
  assert.deepEqual(leading(tabs), [tabs[2]]);
  tabs[1].leadership.stand();
  tabs[2].leadership.resign();
  await settle();
  assert.deepEqual(leading(tabs), [tabs[1]]);
});

test('who resigns and stands again at once leads again', async () => {
  restore = install({navigator: {locks: new FakeLocks()}});
  const tab = stand();
  await settle();
  tab.leadership.resign();
  tab.leadership.stand();
  await settle();
  assert.equal(tab.leadership.isLeading, true);
  tab.leadership.resign();
  await settle();
  const next = stand();
  await settle();
  assert.equal(next.leadership.isLeading, true);
});

test('without locks a lease is held by one, renewed, and left at the end', () => {
  restore = install({navigator: {}, localStorage: new FakeStorage()});
  const tabs = [stand(), stand(), stand()];
  pass(4000);
  assert.equal(leading(tabs).length, 1);
  const [leader] = leading(tabs);
  pass(60_000);
  assert.deepEqual(leading(tabs), [leader]);
  assert.equal(leader.gains, 1);
  leader.leadership.resign();
  pass(2000);
  assert.equal(leading(tabs).length, 1);
  assert.notEqual(leading(tabs)[0], leader);
});

test('the lease of a tab that is gone without a word runs out', () => {
  const storage = new FakeStorage();
  restore = install({navigator: {}, localStorage: storage});
  storage.setItem('occupancy-leader-main', JSON.stringify({id: 'gone', until: Date.now() + 6000}));
  const tab = stand();
  pass(5000);
  assert.equal(tab.leadership.isLeading, false);
  pass(4000);
  assert.equal(tab.leadership.isLeading, true);
});

test('what is no lease is no hindrance', () => {
  const storage = new FakeStorage();
  restore = install({navigator: {}, localStorage: storage});
  storage.setItem('occupancy-leader-main', '{broken');
  const tab = stand();
  pass(3000);
  assert.equal(tab.leadership.isLeading, true);
});

test('who resigned before its first turn does not lead later', () => {
  restore = install({navigator: {}, localStorage: new FakeStorage()});
  const tab = stand();
  tab.leadership.resign();
  pass(10_000);
  assert.equal(tab.leadership.isLeading, false);
  assert.equal(tab.gains, 0);
});

test('boards have leaders of their own', () => {
  restore = install({navigator: {}, localStorage: new FakeStorage()});
  const tabs = [stand('one'), stand('two')];
  pass(3000);
  assert.equal(leading(tabs).length, 2);
});

test('a lease that lies further ahead than a lease is long is void', () => {
  const storage = new FakeStorage();
  restore = install({navigator: {}, localStorage: storage});
  const years = 3 * 365 * 86_400_000;
  for (const until of [Date.now() + years, Date.now() + 7000, 'soon', null]) {
    storage.setItem('occupancy-leader-main', JSON.stringify({id: 'gone', until}));
    const tab = stand();
    pass(200);
    assert.equal(tab.leadership.isLeading, true, String(until));
    tab.leadership.resign();
  }
});

test('a clock that is put right while a tab leads leaves one leader', () => {
  const storage = new FakeStorage();
  restore = install({navigator: {}, localStorage: storage});
  mock.timers.setTime(86_400_000);
  const tabs = [stand(), stand()];
  pass(4000);
  mock.timers.setTime(1000); // the lease of before lies a day ahead now
  pass(10_000);
  assert.equal(leading(tabs).length, 1);
});

test('where nothing can be stored each tab leads itself, and resigns without a word', () => {
  const refuse = () => { throw new Error('SecurityError'); };
  for (const storage of [
    {getItem: refuse, setItem: refuse, removeItem: refuse},
    {getItem: () => null, setItem: refuse, removeItem: refuse},
    undefined,
  ]) {
    restore = install({navigator: {}, localStorage: storage});
    const tab = stand();
    pass(3000);
    assert.equal(tab.leadership.isLeading, true);
    tab.leadership.resign();
    assert.equal(tab.leadership.isLeading, false);
    restore();
  }
});

test('who resigns leaves the lease of another alone', () => {
  const storage = new FakeStorage();
  restore = install({navigator: {}, localStorage: storage});
  const tab = stand();
  pass(200);
  const lease = JSON.stringify({id: 'other', until: Date.now() + 5000});
  storage.setItem('occupancy-leader-main', lease);
  tab.leadership.resign();
  assert.equal(storage.getItem('occupancy-leader-main'), lease);
});
