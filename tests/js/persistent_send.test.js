// Requests that are sent again without counting twice.

import assert from 'node:assert/strict';
import {afterEach, beforeEach, test} from 'node:test';

import {onPinRequired} from '../../occupancy/web/ui/static/js/api.js';
import {sendOnce} from '../../occupancy/web/ui/static/js/persistent_send.js';
import {fakeFetch, install} from './fakes.js';

let sent;
let answers;
let restore;
const pauses = [];
const pause = async (ms) => { pauses.push(ms); };

function answer(status, body) {
  return new Response(JSON.stringify(body), {status});
}

beforeEach(() => {
  sent = [];
  answers = [];
  pauses.length = 0;
  restore = install({fetch: fakeFetch(sent, () => answers.shift())});
});
afterEach(() => restore());

test('an operation is tried again with the same key while nobody knows if it took effect', async () => {
  const busy = answer(503, {code: 'pool_timeout', retry_after: 3});
  answers = [new TypeError('failed'), busy, answer(200, {changed: true})];
  assert.deepEqual(await sendOnce('POST', '/x', {body: {}}, {pause}), {changed: true});
  const keys = sent.map((each) => each.headers['Idempotency-Key']);
  assert.equal(new Set(keys).size, 1);
  assert.match(keys[0], /^[0-9a-f]{32}$/);
  assert.equal(pauses.length, 2);
  assert.ok(pauses[0] >= 750 && pauses[0] <= 1250, 'about a second');
  assert.ok(pauses[1] >= 2250 && pauses[1] <= 3750, 'about what the server asked for');
});

test('two operations have two keys', async () => {
  answers = [answer(200, {}), answer(200, {})];
  await sendOnce('POST', '/x', {body: {}});
  await sendOnce('POST', '/x', {body: {}});
  assert.notEqual(sent[0].headers['Idempotency-Key'], sent[1].headers['Idempotency-Key']);
});

test('a refusal is not tried again', async () => {
  answers = [answer(409, {code: 'held', detail: 'Held.'})];
  await assert.rejects(sendOnce('POST', '/x', {body: {}}, {pause}), {code: 'held'});
  assert.equal(sent.length, 1);
});

test('who asks for too much waits; after four tries it is said', async () => {
  answers = Array.from({length: 4}, () => answer(429, {code: 'rate_limited', retry_after: 60}));
  await assert.rejects(sendOnce('POST', '/x', {body: {}}, {pause}), {code: 'rate_limited'});
  assert.equal(sent.length, 4);
  assert.equal(pauses.length, 3);
  assert.ok(pauses.every((ms) => ms > 0 && ms <= 12500), 'nobody waits for a minute in front of a card');
});

test('an operation keeps its key over the question for the PIN', async () => {
  onPinRequired(async () => true);
  const pinRequired = answer(403, {code: 'pin_required', detail: 'Confirm your PIN.'});
  answers = [pinRequired, new TypeError('failed'), answer(200, {changed: true})];
  assert.deepEqual(await sendOnce('POST', '/x', {body: {}}, {pause}), {changed: true});
  assert.equal(new Set(sent.map((each) => each.headers['Idempotency-Key'])).size, 1);
  assert.equal(sent.length, 3);
});

test('what is handed over is not tried again here', async () => {
  answers = [new TypeError('failed'), new TypeError('failed'), answer(200, {changed: true})];
  const asked = [];
  const handOver = async (problem) => asked.push(problem.code) === 2;
  await assert.rejects(sendOnce('POST', '/x', {body: {}}, {pause, handOver}), {code: 'unreachable'});
  assert.deepEqual(asked, ['unreachable', 'unreachable']);
  assert.equal(sent.length, 2);
});

test('the headers of a change stay beside its key', async () => {
  answers = [answer(200, {})];
  await sendOnce('PUT', '/x', {body: {}, headers: {'If-Match': '"3"'}}, {key: 'mine'});
  assert.deepEqual([sent[0].headers['If-Match'], sent[0].headers['Idempotency-Key']], ['"3"', 'mine']);
});
