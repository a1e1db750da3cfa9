// The service worker: what it keeps, what it passes by, and that no page mixes two versions.

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {beforeEach, mock, test} from 'node:test';
import vm from 'node:vm';

import {settle} from './fakes.js';

const SOURCE = readFileSync(new URL(
  '../../occupancy/web/ui/static/worker/keep_shell.js', import.meta.url), 'utf8');
const ORIGIN = 'https://board.test';
const keyOf = (request) => new URL(request.url ?? request, ORIGIN).href;

class Caches {
  all = new Map();

  async open(name) {
    if (!this.all.has(name)) this.all.set(name, new Map());
    const kept = this.all.get(name);
    return {
      match: async (request) => kept.get(keyOf(request))?.clone(),
      put: async (request, response) => { kept.delete(keyOf(request)); kept.set(keyOf(request), response); },
      delete: async (request) => kept.delete(keyOf(request)),
      keys: async () => [...kept.keys()].map((url) => ({url})),
    };
  }

  async match(request) {
    for (const kept of this.all.values()) if (kept.has(keyOf(request))) return kept.get(keyOf(request)).clone();
    return undefined;
  }

  async keys() { return [...this.all.keys()]; }

  async delete(name) { return this.all.delete(name); }
}

let caches;
let network; // path → answer, or a function; a missing one is an unreachable server
let fetched;
let listeners;
let navigated;
let open; // the paths of open pages

const FOR_GOOD = 'public, max-age=31536000, immutable';
const file = (text, cache = FOR_GOOD) => new Response(text, {headers: {'Cache-Control': cache}});
const shell = (version, status = 200) => new Response(`<script src="/static/${version}/js/board.js">`, {status});

/** The worker of a version, as the browser starts it. */
function start(version) {
  listeners = {};
  const context = {
    URL, Response, Promise, setTimeout, caches, location: {origin: ORIGIN},
    async fetch(request) {
      const path = new URL(keyOf(request)).pathname;
      fetched.push(path);
      const found = network[path];
      if (found === undefined) throw new TypeError('failed');
      return typeof found === 'function' ? found() : found.clone();
    },
  };
  context.self = {
    addEventListener: (name, listener) => { listeners[name] = listener; },
    async skipWaiting() {},
    clients: {
      async claim() {},
      matchAll: async () => open.map((path) => ({url: ORIGIN + path})),
      get: async () => ({url: `${ORIGIN}/boards`, navigate: async (url) => navigated.push(url)}),
    },
  };
  const files = ['js/board.js', 'css/app.css'].map((name) => `/static/${version}/${name}`);
  vm.runInNewContext(`const VERSION = '${version}';\nconst FILES = ${JSON.stringify(files)};\n${SOURCE}`, context);
}

async function run(name) {
  let done;
  listeners[name]({waitUntil: (promise) => { done = promise; }});
  await done;
}

/** The worker's answer; undefined if it leaves the request to the browser. */
function ask(path, {method = 'GET', mode = 'cors', origin = ORIGIN} = {}) {
  let answer;
  listeners.fetch({
    request: {url: origin + path, method, mode}, clientId: 'page',
    respondWith: (promise) => { answer = promise; }, waitUntil: (promise) => promise.catch(() => {}),
  });
  return answer;
}

const visit = (path) => ask(path, {mode: 'navigate'});
const filesOf = (version) => ({
  [`/static/${version}/js/board.js`]: file(`board of ${version}`),
  [`/static/${version}/css/app.css`]: file(`style of ${version}`),
});

async function install(version) {
  start(version);
  await run('install');
  await run('activate');
}

beforeEach(() => {
  caches = new Caches();
  network = {...filesOf('aaa'), '/boards': shell('aaa'), '/boards/main': shell('aaa')};
  fetched = [];
  navigated = [];
  open = ['/boards/main', '/sign-in'];
});

test('a page that was open opens without the server, with all its files', async () => {
  await install('aaa');
  network = {};
  assert.match(await (await visit('/boards/main')).text(), /aaa/);
  assert.match(await (await visit('/boards')).text(), /aaa/);
  assert.equal(await (await ask('/static/aaa/js/board.js')).text(), 'board of aaa');
  assert.equal(visit('/sign-in'), undefined);
});

test('a server that answers decides what is shown', async () => {
  await install('aaa');
  network['/boards/main'] = shell('bbb');
  assert.match(await (await visit('/boards/main')).text(), /bbb/);
  network['/boards/main'] = new Response('gone', {status: 404});
  assert.equal((await visit('/boards/main')).status, 404);
});

test('a proxy that answers for a server that is away is no answer', async () => {
  await install('aaa');
  network['/boards/main'] = new Response('bad gateway', {status: 502});
  assert.equal((await visit('/boards/main')).status, 200);
});

test('a network that is too slow is treated as away', async () => {
  await install('aaa');
  mock.timers.enable({apis: ['setTimeout']});
  start('aaa'); // with the mocked timers
  network['/boards/main'] = () => new Promise(() => {});
  const answer = visit('/boards/main');
  await settle();
  mock.timers.tick(3000);
  assert.match(await (await answer).text(), /aaa/);
  mock.timers.reset();
});

test('the API, streams, changes and other hosts are left to the browser', async () => {
  await install('aaa');
  assert.equal(ask('/api/boards/main/items'), undefined);
  assert.equal(ask('/api/boards/main/events'), undefined);
  assert.equal(ask('/api/session', {method: 'DELETE'}), undefined);
  assert.equal(ask('/boards', {method: 'POST', mode: 'navigate'}), undefined);
  assert.equal(ask('/static/aaa/js/board.js', {origin: 'https://else.test'}), undefined);
  assert.equal(visit('/boards/main/items/T-1'), undefined);
});

test('a worker without all files of its version is not installed', async () => {
  network['/static/aaa/css/app.css'] = file('style of bbb', 'no-store'); // from a process of another version
  start('aaa');
  await assert.rejects(run('install'));
});

test('a shell of another version is shown and not kept', async () => {
  await install('aaa');
  network['/boards/main'] = shell('bbb');
  await visit('/boards/main');
  await settle();
  network = {};
  assert.match(await (await visit('/boards/main')).text(), /aaa/);
});

test('a file of a process of another version is not passed on, and the page is opened anew', async () => {
  await install('aaa');
  mock.timers.enable({apis: ['setTimeout']});
  start('aaa');
  network['/static/bbb/js/board.js'] = file('board of aaa', 'no-store');
  const answer = await ask('/static/bbb/js/board.js');
  assert.equal(answer.type, 'error');
  mock.timers.tick(1000);
  await settle();
  assert.deepEqual(navigated, [`${ORIGIN}/boards`]);
  mock.timers.reset();
});

test('a worker of a new version removes the old files, and keeps the same pages', async () => {
  await install('aaa');
  network = {...network, ...filesOf('bbb'), '/boards': shell('bbb'), '/boards/main': shell('bbb')};
  open = [];
  await install('bbb');
  assert.deepEqual(await caches.keys(), ['occupancy-shell-bbb']);
  network = {};
  assert.match(await (await visit('/boards/main')).text(), /bbb/);
  assert.equal(await (await ask('/static/bbb/js/board.js')).text(), 'board of bbb');
});

test('only so many shells are kept, the last ones', async () => {
  await install('aaa');
  for (let number = 0; number < 40; number += 1) {
    network[`/boards/b${number}`] = shell('aaa');
    await visit(`/boards/b${number}`);
    await settle();
  }
  const cache = await caches.open('occupancy-shell-aaa');
  const shells = (await cache.keys()).filter(({url}) => url.includes('/boards'));
  assert.equal(shells.length, 30);
  assert.equal(shells.at(-1).url, `${ORIGIN}/boards/b39`);
});
