// Reasons to tap: the board's first, then what was typed here and what the items have.

import assert from 'node:assert/strict';
import {afterEach, beforeEach, test} from 'node:test';

import {FakeStorage, install} from './fakes.js';
import './table.js';

const {reasonsFor, rememberReason} = await import('../../occupancy/web/ui/static/js/reasons.js');

let storage;
let restore;

beforeEach(() => {
  storage = new FakeStorage();
  restore = install({localStorage: storage});
});
afterEach(() => restore());

const blocked = (...reasons) => reasons.map((reason) => ({state: 'blocked', reason}));

test('the reasons of the board come first, in its order', () => {
  const offered = reasonsFor('block', {ofBoard: ['Crack', 'No drawing'], items: blocked('Rust', 'No drawing')});
  assert.deepEqual(offered, ['Crack', 'No drawing', 'Rust']);
});

test('of the reasons that items have, the most frequent comes first', () => {
  const items = blocked('Rust', 'No paint', 'No paint', null);
  assert.deepEqual(reasonsFor('block', {items}), ['No paint', 'Rust']);
});

test('an item in another state has the reason of another operation', () => {
  const items = [{state: 'paused', reason: 'Lunch'}, {state: 'blocked', reason: 'Crack'}];
  assert.deepEqual(reasonsFor('block', {items}), ['Crack']);
  assert.deepEqual(reasonsFor('pause', {items}), ['Lunch']);
});

test('an item that was sent back is free again, and says why', () => {
  const items = [{state: 'available', reason: 'Weld again'}, {state: 'paused', reason: 'Lunch'}];
  assert.deepEqual(reasonsFor('send-back', {items}), ['Weld again']);
});

test('what was typed on this device comes back, the last one first, each once', () => {
  for (const reason of ['Crack', 'Rust', 'Crack']) rememberReason('block', reason);
  assert.deepEqual(reasonsFor('block', {items: blocked('Dent', 'Rust')}), ['Crack', 'Rust', 'Dent']);
  assert.deepEqual(reasonsFor('pause', {}), []);
});

test('the device keeps the last eight of an operation, and offers eight besides the board\'s own', () => {
  for (let i = 1; i <= 10; i += 1) rememberReason('block', `R${i}`);
  const typed = ['R10', 'R9', 'R8', 'R7', 'R6', 'R5', 'R4', 'R3'];
  assert.deepEqual(reasonsFor('block', {items: blocked('Dent')}), typed);
  assert.deepEqual(reasonsFor('block', {ofBoard: ['R9', 'Crack'], items: blocked('Dent')}),
    ['R9', 'Crack', ...typed.filter((each) => each !== 'R9'), 'Dent']);
});

test('a browser that stores nothing, or something else, offers what the board has', () => {
  storage.setItem('occupancy-reasons', '{broken');
  assert.deepEqual(reasonsFor('block', {ofBoard: ['Crack']}), ['Crack']);
  restore();
  const deny = () => { throw new Error('denied'); };
  restore = install({localStorage: {getItem: deny, setItem: deny}});
  rememberReason('block', 'Rust');
  assert.deepEqual(reasonsFor('block', {ofBoard: ['Crack']}), ['Crack']);
});
