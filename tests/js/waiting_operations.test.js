// Operations that wait for the network: each is sent once, as its owner, and the server decides.

import assert from 'node:assert/strict';
import {beforeEach, mock, test} from 'node:test';

import {WaitingOperations} from '../../occupancy/web/ui/static/js/waiting_operations.js';
import {fakeChannels, settle} from './fakes.js';

const HOUR_MS = 3600 * 1000;
const ANA = {id: 'ana', name: 'Ana', role: 'worker'};
const BEN = {id: 'ben', name: 'Ben', role: 'worker'};

class Problem extends Error {
  constructor(status, code, fields = {}) {
    super(code);
    Object.assign(this, {status, code, ...fields});
  }

  get isUncertain() {
    return this.code === 'unreachable' || this.status >= 500;
  }
}

/** The store of one device, which all its tabs share. */
class Store {
  records = new Map();
  last = 0;
  isBroken = false;

  async all() {
    if (this.isBroken) throw new Error('no storage');
    return structuredClone([...this.records.values()]);
  }

  async get(id) {
    return structuredClone(this.records.get(id));
  }

  async put(record) {
    if (this.isBroken) throw new Error('no storage');
    const id = record.id ?? (this.last += 1);
    this.records.set(id, structuredClone({...record, id}));
  }

  async remove(id) {
    this.records.delete(id);
  }
}

/** Web Locks, as far as `ifAvailable` goes. */
class Locks {
  isHeld = false;

  async request(name, options, work) {
    if (this.isHeld) return work(null);
    this.isHeld = true;
    try {
      return await work({});
    } finally {
      this.isHeld = false;
    }
  }
}

let store;
let locks;
let Channel;
let sent; // {tag, key, body} in order
let answer; // of the server: may throw
let worker;
let asked;
let nowMs;
let keys;
let isOnline;

function tab() {
  return new WaitingOperations({
    store, locks, Channel, now: () => nowMs, worker: () => worker, isOnline: () => isOnline,
    async ask() { asked += 1; },
    newKey: () => `key-${(keys += 1)}`,
    async send({tag, key, body}) {
      sent.push({tag, key, body});
      await answer(tag);
    },
  });
}

const pause = (tag, key = null) => ({
  board: 'main', tag, operation: 'pause', body: {reason: 'lunch', epoch: 7}, worker: ANA, key});

beforeEach(() => {
  store = new Store();
  locks = new Locks();
  Channel = fakeChannels();
  sent = [];
  answer = async () => {};
  worker = ANA;
  asked = 0;
  nowMs = 1_700_000_000_000;
  keys = 0;
  isOnline = true;
});

test('what waits is sent in order, with its epoch and a key of its own', async () => {
  const page = tab();
  await page.add(pause('A'));
  await page.add(pause('B'));
  assert.deepEqual(sent, []);
  await page.deliver();
  assert.deepEqual(sent, [
    {tag: 'A', key: 'key-1', body: {reason: 'lunch', epoch: 7}},
    {tag: 'B', key: 'key-2', body: {reason: 'lunch', epoch: 7}},
  ]);
  assert.equal(store.records.size, 0);
});

test('a lost answer is asked for again with the same key', async () => {
  const page = tab();
  await page.add(pause('A'));
  await page.add(pause('B'));
  answer = async () => { throw new Problem(0, 'unreachable'); };
  await page.deliver();
  assert.deepEqual(sent.map(({tag}) => tag), ['A']); // the order is kept
  answer = async () => {};
  await page.deliver();
  assert.deepEqual(sent.map(({key}) => key), ['key-1', 'key-1', 'key-2']);
});

test('one whose answer was lost goes on with its key, soon, and is not called unsent', async () => {
  mock.timers.enable({apis: ['setTimeout']});
  const page = tab();
  await page.add(pause('A', 'first-key'));
  answer = async () => { throw new Problem(0, 'unreachable'); };
  mock.timers.tick(1_000);
  await settle();
  assert.deepEqual(sent.map(({key}) => key), ['first-key']);
  assert.equal(await page.cancel(page.records[0].id), false);
  mock.timers.reset();
});

test('of two tabs one sends', async () => {
  const one = tab();
  const other = tab();
  await one.add(pause('A'));
  await settle();
  await Promise.all([one.deliver(), other.deliver()]);
  assert.equal(sent.length, 1);
  assert.deepEqual(other.records, []);
});

test('nothing is sent as somebody else, nor while nobody is signed in', async () => {
  const page = tab();
  await page.add(pause('A'));
  for (const who of [BEN, null]) {
    worker = who;
    await page.deliver();
  }
  assert.deepEqual(sent, []);
  assert.equal(page.of('main', 'A', 'ana').worker.name, 'Ana');
  worker = ANA;
  await page.deliver();
  assert.equal(sent.length, 1);
});

test('a worker who is signed out while sending keeps the rest waiting', async () => {
  const page = tab();
  await page.add(pause('A'));
  await page.add(pause('B'));
  answer = async () => { worker = BEN; };
  await page.deliver();
  assert.deepEqual(sent.map(({tag}) => tag), ['A']);
});

for (const [status, code] of [[401, 'unauthenticated'], [403, 'csrf']]) {
  test(`after ${code} the server is asked who is signed in, and the operation waits on`, async () => {
    const page = tab();
    await page.add(pause('A'));
    answer = async () => { throw new Problem(status, code); };
    await page.deliver();
    assert.equal(asked, 1);
    assert.notEqual(page.of('main', 'A', 'ana'), undefined);
  });
}

test('a refusal is kept until its worker closes it, and the next is sent', async () => {
  const page = tab();
  await page.add(pause('A'));
  await page.add(pause('B'));
  answer = async (tag) => { if (tag === 'A') throw new Problem(409, 'stale_epoch', {item: {holder: BEN}}); };
  await page.deliver();
  assert.deepEqual(sent.map(({tag}) => tag), ['A', 'B']);
  await page.deliver();
  assert.equal(sent.length, 2); // a refused one is never sent again
  const [refused] = await store.all(); // also for a page that opens later
  assert.equal(refused.refused.code, 'stale_epoch');
  assert.equal(page.of('main', 'A', 'ana'), undefined);
  await page.close(refused.id);
  assert.equal(store.records.size, 0);
});

test('one that is cancelled is not sent, and what may have been sent is not called unsent', async () => {
  const page = tab();
  await page.add(pause('A'));
  assert.equal(await page.cancel(page.records[0].id), true);
  await page.deliver();
  assert.deepEqual(sent, []);
  await page.add(pause('B'));
  answer = async () => { throw new Problem(0, 'unreachable'); };
  await page.deliver();
  assert.equal(await page.cancel(page.records[0].id), false);
});

test('it is given up before the server forgets its key, whoever is signed in', async () => {
  const page = tab();
  await page.add(pause('A'));
  nowMs += 22 * HOUR_MS;
  await page.add(pause('B'));
  worker = BEN;
  nowMs += 2 * HOUR_MS;
  await page.deliver();
  assert.deepEqual(page.records.map(({tag, refused}) => [tag, refused?.code]),
    [['A', 'given_up'], ['B', undefined]]);
  worker = ANA;
  await page.deliver();
  assert.deepEqual(sent.map(({tag}) => tag), ['B']);
});

test('one operation waits for an item, and none where nothing can be stored', async () => {
  const page = tab();
  assert.equal(await page.add(pause('A')), true);
  assert.equal(await page.add(pause('A')), false);
  store.isBroken = true;
  assert.equal(await page.add(pause('B')), false);
  await page.deliver();
  assert.deepEqual(page.records, []);
});

test('it is tried again and again while it is there', async () => {
  mock.timers.enable({apis: ['setInterval']});
  const page = tab();
  await page.start();
  await page.add(pause('A'));
  answer = async () => { throw new Problem(503, 'store_unavailable'); };
  mock.timers.tick(10_000);
  await settle();
  isOnline = false;
  mock.timers.tick(10_000);
  await settle();
  assert.equal(sent.length, 1); // a device that knows of no network tries nothing
  isOnline = true;
  answer = async () => {};
  mock.timers.tick(10_000);
  await settle();
  mock.timers.tick(10_000);
  await settle();
  assert.equal(sent.length, 2);
  mock.timers.reset();
});

test('every tab shows what waits, and what has been done', async () => {
  const one = tab();
  const other = tab();
  const done = [];
  one.onChange((record) => { if (record) done.push(record.tag); });
  await one.add(pause('A'));
  await settle();
  assert.equal(other.records.length, 1);
  await one.deliver();
  await settle();
  assert.deepEqual(other.records, []);
  assert.deepEqual(done, ['A']);
});
