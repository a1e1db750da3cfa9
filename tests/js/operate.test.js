// From a touch to its notice, and back: what is offered to take an operation back.

import assert from 'node:assert/strict';
import {after, afterEach, beforeEach, mock, test} from 'node:test';

import './table.js';
import {Model} from '../../occupancy/web/ui/static/js/model.js';
import {install, settle} from './fakes.js';

const restore = install({
  document: {...globalThis.document, documentElement: {lang: 'en'}, querySelectorAll: () => [{href: '/catalog'}],
    addEventListener() {}},
  navigator: {languages: ['en']},
  fetch: async () => Response.json({'done.complete': 'Completed {tag}', 'done.undo': 'Yours again: {tag}',
    'refusal.undo_over': 'Too late', 'refusal.held': 'Held by {holder}',
    'live.cannot': 'Not possible', 'refusal.unreachable': 'No answer'}),
});
const {Actions} = await import('../../occupancy/web/ui/static/js/actions.js');
const {operate} = await import('../../occupancy/web/ui/static/js/operate.js');
let sent; // {path, body, key, answer(status, fields), lose()} by request
globalThis.fetch = (path, {body, headers}) => new Promise((resolve, reject) => {
  sent.push({path, body: JSON.parse(body), key: headers['Idempotency-Key'],
    answer: (status, fields) => resolve(Response.json(fields, {status})),
    lose: () => reject(new TypeError('failed'))});
});
after(restore);

let model;
let actions;
let said; // [text, options] of each notice
let waiting; // what was let wait
let canStore;
let isOffline;
const notices = {say: (...all) => said.push(all)};
const ends = {
  mayWait: (operation) => operation === 'complete', // as if the user had the item
  isOffline: () => isOffline,
  async add(...all) {
    if (canStore) waiting.push(all);
    return canStore;
  },
};
const item = (version, state = 'available') => ({tag: 'A', version, state, holder: null, epoch: 7});

beforeEach(() => {
  mock.timers.enable({apis: ['setTimeout']});
  sent = [];
  said = [];
  waiting = [];
  canStore = true;
  isOffline = false;
  model = new Model();
  model.load([item(1, 'occupied')]);
  actions = new Actions('main', model, () => {});
});

afterEach(() => mock.timers.reset());

/** Touches a button and answers its request. */
async function touch(operation, status, fields) {
  const done = operate(operation, item(1), {board: 'main', actions, notices, ends});
  await settle();
  sent.at(-1).answer(status, fields);
  await done;
}

test('the notice of a completion takes it back by undo, for a minute', async () => {
  const beforeMs = performance.now();
  await touch('complete', 200, {changed: true, item: item(2)});
  const [text, {tag, undo}] = said[0];
  assert.deepEqual([text, tag, undo.key, undo.isOffered()], ['Completed A', 'A', 'z', true]);
  assert.ok(undo.untilMs >= beforeMs + 60000 && undo.untilMs <= performance.now() + 60000);
  const done = undo.act();
  await settle();
  assert.equal(sent.at(-1).path, '/api/boards/main/items/A/undo');
  sent.at(-1).answer(200, {changed: true, item: item(3, 'occupied')});
  await done;
  assert.deepEqual(said.at(-1), ['Yours again: A', {tag: 'A', undo: null}]);
});

test('the notice of a take takes it back by release', async () => {
  await touch('take', 200, {changed: true, item: item(2, 'occupied')});
  const done = said[0][1].undo.act();
  await settle();
  assert.equal(sent.at(-1).path, '/api/boards/main/items/A/release');
  sent.at(-1).answer(200, {changed: true, item: item(3)});
  await done;
});

test('what has changed since is not offered', async () => {
  await touch('complete', 200, {changed: true, item: item(2)});
  const {undo} = said[0][1];
  model.put(item(3));
  assert.equal(undo.isOffered(), false);
});

test('what changed nothing, or came after a newer change, is not offered', async () => {
  await touch('complete', 200, {changed: false, item: item(2)});
  assert.equal(said[0][1].undo.isOffered(), false);
  model.put(item(5));
  await touch('complete', 200, {changed: true, item: item(4)});
  assert.equal(said[1][1].undo.isOffered(), false);
});

test('a refused undo says that it is too late, or who has the item', async () => {
  await touch('complete', 200, {changed: true, item: item(2)});
  const {undo} = said[0][1];
  for (const [problem, text] of [[{code: 'wrong_state', item: item(3)}, 'A: Too late'],
    [{code: 'not_holder', holder: null, item: item(3)}, 'A: Too late'],
    [{code: 'held', holder: {id: '2', name: 'Ana'}, since: '2026-11-22T10:00:00Z', item: item(4)}, 'A: Held by Ana']]) {
    const done = undo.act();
    await settle();
    sent.at(-1).answer(409, problem);
    await done;
    assert.equal(said.at(-1)[0], text);
  }
});

test('an undo while another operation is on its way sends nothing', async () => {
  await touch('complete', 200, {changed: true, item: item(2)});
  const {undo} = said[0][1];
  const other = operate('take', item(2), {board: 'main', actions, notices, ends});
  await settle();
  const before = sent.length;
  await undo.act();
  assert.equal(sent.length, before);
  sent.at(-1).answer(200, {changed: true, item: item(3, 'occupied')});
  await other;
});

test('an end of the work that gets no answer waits at once, with its key, and nothing is said as done', async () => {
  const done = operate('complete', item(1), {board: 'main', actions, notices, ends});
  await settle();
  assert.deepEqual(sent[0].body, {epoch: 7}); // the same request again must have the same body
  sent[0].lose();
  await done;
  assert.deepEqual(waiting, [['complete', 'A', {epoch: 7}, sent[0].key]]);
  assert.equal(sent.length, 1);
  assert.deepEqual(said, []);
  assert.equal(actions.sending.size, 0);
  assert.equal(actions.said('A'), '');
});

test('an end of the work while the page knows of no server waits without a try', async () => {
  isOffline = true;
  await operate('complete', item(1), {board: 'main', actions, notices, ends});
  assert.deepEqual(waiting, [['complete', 'A', {epoch: 7}]]);
  assert.deepEqual(sent, []);
  canStore = false;
  await operate('complete', item(1), {board: 'main', actions, notices, ends});
  assert.equal(said[0][0], 'A: Not possible');
});

test('an end of the work that the device cannot store, or that is refused, does not wait', async () => {
  await touch('complete', 409, {code: 'held', holder: {name: 'Ana'}, since: '2026-11-22T10:00:00Z', item: item(2)});
  assert.deepEqual([waiting, said[0][0]], [[], 'A: Held by Ana']);
  canStore = false;
  const done = operate('complete', item(2), {board: 'main', actions, notices, ends});
  await settle();
  sent.at(-1).lose();
  await settle();
  assert.deepEqual([actions.sending.get('A'), said.length], ['complete', 1]); // it is tried again
  mock.timers.tick(2000);
  await settle();
  sent.at(-1).answer(200, {changed: true, item: item(3)});
  await done;
  assert.deepEqual([sent.length, said.at(-1)[0]], [3, 'Completed A']);
  assert.equal(sent[2].key, sent[1].key);
});

test('another operation that gets no answer does not wait', async () => {
  const done = operate('take', item(1), {board: 'main', actions, notices, ends});
  for (let time = 0; time < 4; time += 1) {
    await settle();
    sent.at(-1).lose();
    await settle();
    mock.timers.tick(20_000);
  }
  await done;
  assert.deepEqual([waiting, sent.length, said[0][0]], [[], 4, 'A: No answer']);
});
