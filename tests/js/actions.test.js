// Actions: one effect for each intention, and a refusal that is shown as long as it holds.

import assert from 'node:assert/strict';
import {after, beforeEach, test} from 'node:test';

import './table.js';
import {Model} from '../../occupancy/web/ui/static/js/model.js';
import {install, settle} from './fakes.js';

const CATALOG = {'refusal.held': 'Held by {holder}', 'refusal.internal_error': 'Failed',
  'refusal.forbidden': 'Not allowed'};
let sent; // {path, body, key, answer(status, fields)} by request
const restore = install({
  document: {documentElement: {lang: 'en'}, querySelectorAll: () => [{href: '/catalog'}]},
  navigator: {languages: ['en']},
  fetch: async () => Response.json(CATALOG),
});
const {Actions} = await import('../../occupancy/web/ui/static/js/actions.js');
globalThis.fetch = (path, {body, headers}) => new Promise((resolve) => {
  sent.push({path, body: JSON.parse(body), key: headers['Idempotency-Key'],
    answer: (status, fields) => resolve(Response.json(fields, {status}))});
});
after(restore);

let model;
let actions;
let drawn;
const item = (tag, version = 1, state = 'available') => ({tag, version, state, holder: null});

beforeEach(() => {
  sent = [];
  drawn = [];
  model = new Model();
  model.load([item('A'), item('B'), item('C')]);
  actions = new Actions('main', model, (tag) => drawn.push(tag));
});

test('a second tap while the first is on its way sends nothing', async () => {
  const first = actions.run('take', 'A');
  assert.equal(await actions.run('take', 'A'), 'refused');
  assert.equal(await actions.run('pause', 'A'), 'refused');
  await settle();
  assert.deepEqual(sent.map(({path}) => path), ['/api/boards/main/items/A/take']);
  assert.equal(actions.sending.get('A'), 'take');
  sent[0].answer(200, {item: item('A', 2, 'occupied')});
  assert.equal(await first, 'done');
  assert.equal(model.items.get('A').state, 'occupied');
  assert.equal(actions.sending.size, 0);
  assert.deepEqual(drawn, ['A', 'A']);
});

test('a new intention has a key of its own', async () => {
  for (let time = 0; time < 2; time += 1) {
    const run = actions.run('take', 'A');
    await settle();
    sent[time].answer(200, {item: item('A', 2)});
    await run;
  }
  assert.equal(new Set(sent.map(({key}) => key)).size, 2);
});

test('nothing is shown as done before the answer', async () => {
  actions.run('take', 'A');
  await settle();
  assert.equal(model.items.get('A').state, 'available');
});

test('a refusal shows what the item is, until the item changes or something else is tried', async () => {
  const run = actions.run('take', 'A');
  await settle();
  sent[0].answer(409, {code: 'held', holder: {name: 'Marta'}, item: item('A', 5, 'occupied')});
  assert.equal(await run, 'refused');
  assert.equal(model.items.get('A').version, 5);
  assert.equal(actions.refusal(model.items.get('A')), 'Held by Marta');
  assert.equal(actions.refusal(item('A', 6)), '');
  assert.equal(actions.said('A'), 'Held by Marta');
  actions.run('take', 'A');
  assert.equal(actions.refusal(model.items.get('A')), '');
});

test('an answer that comes after the sign-out puts no item back', async () => {
  const run = actions.run('take', 'A');
  await settle();
  model.load([]);
  sent[0].answer(200, {item: item('A', 2, 'occupied')});
  await run;
  assert.equal(model.items.size, 0);
});

test('a batch tells of each item by itself, and leaves out what is on its way', async () => {
  actions.run('take', 'C');
  const run = actions.runMany('take', ['A', 'B', 'C'], {reason: 'x'});
  await settle();
  assert.deepEqual(sent[1].body, {operation: 'take', tags: ['A', 'B'], reason: 'x'});
  sent[1].answer(200, {results: [
    {tag: 'A', status: 200, item: item('A', 2, 'occupied')}, {tag: 'B', status: 403, code: 'forbidden'},
  ]});
  assert.deepEqual(await run, {done: 1, of: 2});
  assert.equal(model.items.get('A').state, 'occupied');
  assert.deepEqual([...actions.refusals.keys()], ['B']);
  assert.equal(actions.said('B'), 'Not allowed');
  assert.deepEqual([...actions.sending.keys()], ['C']);
});

test('after a batch that failed every item takes a tap again, and says why', async () => {
  const run = actions.runMany('take', ['A', 'B']);
  await settle();
  sent[0].answer(403, {code: 'forbidden'});
  assert.deepEqual(await run, {done: 0, of: 2});
  assert.equal(actions.sending.size, 0);
  assert.deepEqual([actions.said('A'), actions.said('B')], ['Not allowed', 'Not allowed']);
  assert.deepEqual(drawn, ['A', 'B', 'A', 'B']);
});

test('no more than fifty are sent at once', async () => {
  const tags = Array.from({length: 60}, (_, index) => `T-${index}`);
  actions.runMany('take', tags);
  await settle();
  assert.deepEqual(sent[0].body.tags, tags.slice(0, 50));
});
