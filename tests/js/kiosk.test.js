// Kiosk pages: when they load a newer version, and when they must not.

import assert from 'node:assert/strict';
import {afterEach, beforeEach, mock, test} from 'node:test';

import {followVersion, versionIn} from '../../occupancy/web/ui/static/js/kiosk.js';
import {FakeStorage, settle} from './fakes.js';

const OLD = '0123456789ab';
const NEW = 'ba9876543210';
const HOUR = 3600 * 1000;
let found; // what the server says, or an error
let looks;
let reloads;
let store;

beforeEach(() => {
  mock.timers.enable({apis: ['setTimeout', 'Date'], now: 1_700_000_000_000});
  mock.method(Math, 'random', () => 0);
  found = OLD;
  looks = 0;
  reloads = 0;
  store = new FakeStorage();
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

function follow() {
  return followVersion(OLD, {
    look: async () => {
      looks += 1;
      if (found instanceof Error) throw found;
      return found;
    },
    reload: () => { reloads += 1; },
    store,
  });
}

async function pass(ms) {
  mock.timers.tick(ms);
  await settle();
}

test('the version is in the address of a file', () => {
  assert.equal(versionIn(`<script src="/static/${OLD}/js/wall.js">`), OLD);
  assert.equal(versionIn('/static/js/wall.js'), null);
});

test('a page looks every hour, and soon when it is asked to', async () => {
  const version = follow();
  await pass(HOUR - 1);
  assert.equal(looks, 0);
  await pass(1);
  await pass(HOUR);
  assert.equal(looks, 2);
  version.checkSoon();
  await pass(15_000);
  assert.equal(looks, 3);
  assert.equal(reloads, 0);
});

test('a page reloads when two looks agree', async () => {
  follow();
  found = NEW;
  await pass(HOUR);
  assert.equal(reloads, 0, 'one process of two may be of the new version');
  await pass(30_000);
  assert.equal(reloads, 1);
});

test('two versions in turn, as during an upgrade, reload nothing', async () => {
  follow();
  found = NEW;
  await pass(HOUR);
  found = OLD;
  await pass(30_000);
  found = NEW;
  await pass(HOUR);
  assert.equal(reloads, 0);
});

test('a server that is away, or answers something else, reloads nothing', async () => {
  follow();
  for (const each of [new TypeError('failed'), null]) {
    found = each;
    await pass(HOUR);
    await pass(HOUR);
  }
  assert.equal(reloads, 0);
  assert.equal(looks, 4);
});

test('a page that is the old one after its reload does not reload again at once', async () => {
  follow();
  found = NEW;
  await pass(HOUR);
  await pass(30_000);
  assert.equal(reloads, 1);
  const again = follow(); // a cache has answered with the old page
  again.checkSoon();
  await pass(15_000);
  await pass(30_000);
  assert.equal(reloads, 1);
  await pass(HOUR);
  await pass(HOUR);
  assert.equal(reloads, 2);
});
