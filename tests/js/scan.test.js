// A page's reaction to a scan at a paired station: items first, then badges.

import assert from 'node:assert/strict';
import {after, beforeEach, test} from 'node:test';

import './table.js';
import {fakeChannels, install, settle} from './fakes.js';

const TEXTS = {'scan.unknown': 'unknown {tag}', 'scan.badge_unknown': 'no badge', 'scan.badge_later': 'later',
  'scan.found': 'found {tag}', 'scan.answer_first': 'first {tag}', 'scan.no_board': 'no board {tag}',
  'session.signed_in': 'signed in', 'session.wait': 'wait {seconds}', 'scan.sign_in_first': 'sign in first'};
let said;
let sent; // to the server, as a badge
let refusal; // of the next badge
let dialog;
let asked; // addresses

const place = {host: 'host.example', href: ''};
const restore = install({
  location: place,
  document: Object.assign(new EventTarget(), {
    documentElement: {lang: 'en'},
    body: globalThis.document.body, // the transition table
    querySelector: () => dialog,
    querySelectorAll: () => [{href: '/catalog'}],
    getElementById: () => null,
  }),
  navigator: {languages: ['en']},
  BroadcastChannel: fakeChannels(),
  localStorage: {getItem: () => null, setItem() {}},
  setInterval() {},
  async fetch(path) {
    asked.push(path);
    return Response.json(path === '/catalog' ? TEXTS : {item: {}});
  },
});
asked = [];
const {scanning} = await import('../../occupancy/web/ui/static/js/scan.js');
after(restore);

beforeEach(() => {
  said = [];
  sent = [];
  asked = [];
  refusal = null;
  dialog = null;
  place.href = '';
});

const known = (tag) => (tag === 'T-1' ? tag : null);

/** Scans `text` on the page of the board main; answers what was said. */
async function scan(text, {station = {board: null}, board = 'main', find = known} = {}) {
  const hooks = scanning({
    board, find, select: (tag) => `selected ${tag}`,
    notices: {say: (words) => said.push(words)},
    station: () => station,
    async useBadge(code, of) {
      sent.push([code, of]);
      if (refusal) throw refusal;
    },
  });
  hooks.onScan(hooks.read({text, physical: null}));
  await settle();
  return said;
}

test('an item that the page knows is selected, and is no badge', async () => {
  assert.deepEqual(await scan('T-1'), ['selected T-1']);
  assert.deepEqual(sent, []);
});

test('what is no item is tried as a badge, without the prefix of the scanner', async () => {
  assert.deepEqual(await scan(']C10012345678'), ['signed in']);
  assert.deepEqual(sent, [['0012345678', 'main']]);
});

test('a badge that cannot be a tag is tried too', async () => {
  await scan('%B 12 34?');
  assert.deepEqual(sent, [['%B 12 34?', 'main']]);
});

test('an item that only the server knows goes before a badge', async () => {
  refusal = {code: 'already_exists', item: 'T-9'};
  assert.deepEqual(await scan('T-9'), ['found T-9']);
  assert.equal(place.href, '/boards/main/items/T-9');
});

test('an unknown badge is neither shown nor in an address', async () => {
  refusal = {code: 'unauthenticated'};
  assert.deepEqual(await scan('0012345678'), ['no badge']);
  refusal = {code: 'rate_limited', retry_after: 4};
  await scan('0012345678', {find: null});
  assert.ok(!said.join().includes('0012345678'));
  assert.deepEqual(asked.filter((path) => path !== '/catalog'), []);
});

test('the address of an item is never a badge', async () => {
  await scan('http://host.example/boards/main/items/T-2');
  await scan('http://elsewhere.example/x');
  assert.deepEqual(sent, []);
});

test('without a paired station nothing is tried as a badge', async () => {
  assert.deepEqual(await scan('0012345678', {station: null}), ['unknown 0012345678']);
  assert.deepEqual(sent, []);
});

test('while another dialog is open a badge waits; that of the sign-in it closes', async () => {
  dialog = {id: 'ask-dialog', close() { said.push('closed'); }};
  assert.deepEqual(await scan('0012345678'), ['later']);
  assert.deepEqual(sent, []);
  said = [];
  dialog.id = 'session-dialog';
  assert.deepEqual(await scan('0012345678'), ['closed', 'signed in']);
});

test('at a station of another board the server is not asked about items here', async () => {
  await scan('0012345678', {station: {board: 'hall'}});
  assert.deepEqual(sent, [['0012345678', null]]);
});

test('also on a page without a board a badge signs in', async () => {
  await scan('0012345678', {board: null, find: null});
  assert.deepEqual(sent, [['0012345678', null]]);
});
