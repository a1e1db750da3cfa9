// The session in the page: what counts as use, and how an idle one ends.

import assert from 'node:assert/strict';
import {after, beforeEach, mock, test} from 'node:test';

import './table.js';
import {fakeChannels, install, settle} from './fakes.js';

const START_MS = 1_700_000_000_000;
const IDLE_S = 600;
let nowMs = 0; // of the monotonic clock
let requests = [];
let signedIn; // what the server says; null: nobody
let isAway = false;
const elements = new Map();
const Channel = fakeChannels();

class Element {
  hidden = false;
  textContent = '';
  addEventListener() {}
  setAttribute() {}
  append() {}
  replaceChildren() {}
}

mock.timers.enable({apis: ['setInterval', 'Date'], now: START_MS});
const page = Object.assign(new EventTarget(), {
  documentElement: {lang: 'en'},
  body: globalThis.document.body, // the transition table
  querySelectorAll: () => [{href: '/catalog'}],
  createElement: () => new Element(),
  getElementById(id) {
    if (!elements.has(id)) elements.set(id, new Element());
    return elements.get(id);
  },
});
const restore = install({
  document: page,
  navigator: {languages: ['en']},
  performance: {now: () => nowMs},
  BroadcastChannel: Channel,
  localStorage: {getItem: () => null, setItem() {}},
  async fetch(path, {method} = {}) {
    if (path === '/catalog') return Response.json({});
    requests.push(`${method} ${path}`);
    if (isAway) throw new TypeError('failed');
    if (path === '/api/session' && method === 'DELETE') {
      signedIn = null;
      return new Response(null, {status: 204});
    }
    if (path === '/api/session' && signedIn === null) return Response.json({}, {status: 401});
    return Response.json(path === '/api/session' ? signedIn : {boards: []});
  },
});
const session = await import('../../occupancy/web/ui/static/js/session.js');
const other = new Channel('occupancy-session'); // another tab
let heard = [];
other.addEventListener('message', ({data}) => heard.push(data));
after(() => {
  mock.timers.reset();
  restore();
});

let token = 0;
beforeEach(async () => {
  isAway = false;
  token += 1;
  signedIn = {worker: {id: '93', name: 'Marta', role: 'worker'}, csrf_token: String(token), idle_s: IDLE_S};
  await session.load();
  requests = [];
  heard = [];
});

/** Lets so much time pass by both clocks, second by second, and all that is due run. */
async function pass(seconds) {
  for (let left = seconds; left > 0; left -= 1) {
    nowMs += 1000;
    mock.timers.tick(1000);
    await settle();
  }
}

const touch = () => page.dispatchEvent(new Event('pointerdown'));
const notice = () => page.getElementById('idle-notice');

test('a minute before the end the page says so, and at the end it signs out', async () => {
  await pass(IDLE_S - 61);
  assert.equal(notice().hidden, true);
  await pass(2);
  assert.equal(notice().hidden, false);
  assert.deepEqual(requests, []);
  await pass(60);
  assert.equal(notice().hidden, true);
  assert.deepEqual(requests, ['DELETE /api/session']);
  assert.equal(session.current(), null);
  assert.deepEqual(heard, ['changed']);
});

test('a touch begins the time anew', async () => {
  await pass(IDLE_S - 30);
  assert.equal(notice().hidden, false);
  touch();
  await pass(1);
  assert.equal(notice().hidden, true);
  await pass(IDLE_S - 65);
  assert.equal(notice().hidden, true);
  assert.notEqual(session.current(), null);
});

test('a touch in another tab counts as well, and is told to the others', async () => {
  await pass(IDLE_S - 30);
  other.postMessage('touched');
  await pass(60);
  assert.notEqual(session.current(), null);
  touch();
  assert.deepEqual(heard, ['touched']);
});

test('asking who is signed in is no touch', async () => {
  for (let minute = 0; minute < 9; minute += 1) {
    await pass(60);
    await session.load();
  }
  await pass(61);
  assert.equal(session.current(), null);
});

test('who reads for long is told to the server by a request that counts as use', async () => {
  for (let minute = 0; minute < 10; minute += 1) {
    await pass(60);
    touch();
  }
  await settle();
  // GET /api/session is none: the page sends it by itself.
  assert.ok(requests.length >= 2 && requests.length <= 4, `${requests}`);
  assert.deepEqual(new Set(requests), new Set(['GET /api/boards']));
});

test('a session that could not be ended stays, and the end is tried again', async () => {
  isAway = true;
  await pass(IDLE_S + 1);
  assert.notEqual(session.current(), null); // the server has not said that it is over
  isAway = false;
  await pass(2);
  assert.equal(session.current(), null);
});

test('a session of a wallboard does not end by time', async () => {
  signedIn = {...signedIn, csrf_token: 'wall', idle_s: null};
  await session.load();
  requests = [];
  await pass(2 * IDLE_S);
  touch();
  await settle();
  assert.deepEqual(requests, []);
});

test('who signs in or out in another tab is asked for here', async () => {
  signedIn = null;
  other.postMessage('changed');
  await settle();
  assert.equal(session.current(), null);
});

test('after the device has slept the server is asked whether the session has ended', async () => {
  signedIn = null;
  mock.timers.setTime(Date.now() + 3600_000); // the monotonic clock stood still
  await pass(1);
  assert.equal(requests[0], 'GET /api/session');
  assert.equal(session.current(), null);
});

test('at a paired station the end of a session leaves the station, which the page asks for', async () => {
  const station = {id: '1f', name: 'Hall 2', board: null};
  signedIn = {...signedIn, csrf_token: 'by badge', station};
  await session.load();
  requests = [];
  const leave = session.signOut();
  await settle();
  signedIn = {worker: {id: 'station:1f', name: 'Hall 2', role: 'observer'}, csrf_token: 'x', idle_s: null, station};
  await leave;
  assert.equal(requests[0], 'DELETE /api/session');
  assert.equal(requests.at(-1), 'GET /api/session');
});

test('a badge signs in with one request, and other tabs hear of it', async () => {
  signedIn = {worker: {id: '7', name: 'Eva', role: 'worker'}, csrf_token: 'new', idle_s: 120};
  await session.useBadge('0012345678', 'main');
  assert.deepEqual(requests, ['POST /api/session']);
  assert.equal(session.current().worker.id, '7');
  assert.deepEqual(heard, ['changed']);
});
