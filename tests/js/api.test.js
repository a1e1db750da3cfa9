// Requests: errors as Problem, and the PIN on request.

import assert from 'node:assert/strict';
import {afterEach, beforeEach, test} from 'node:test';

import * as api from '../../occupancy/web/ui/static/js/api.js';
import {fakeFetch, install} from './fakes.js';

let sent;
let answers;
let restore;

function answer(status, body, headers = {}) {
  return new Response(status === 204 ? null : JSON.stringify(body), {status, headers});
}

beforeEach(() => {
  sent = [];
  answers = [];
  api.setSession('secret', 'one');
  restore = install({fetch: fakeFetch(sent, () => answers.shift())});
});
afterEach(() => restore());

test('a body goes as JSON with the CSRF token, a GET without', async () => {
  answers = [answer(200, {a: 1}), answer(204)];
  assert.deepEqual(await api.get('/x'), {a: 1});
  assert.equal(await api.send('DELETE', '/x', {body: {b: 2}}), null);
  assert.equal(sent[0].headers['X-CSRF-Token'], undefined);
  assert.equal(sent[1].headers['X-CSRF-Token'], 'secret');
  assert.equal(sent[1].body, '{"b":2}');
});

test('a refusal is a Problem with the fields of its document', async () => {
  answers = [answer(409, {code: 'held', detail: 'Held.', holder: {name: 'One'}})];
  await assert.rejects(api.send('POST', '/x'), (problem) => {
    assert.ok(problem instanceof api.Problem);
    assert.equal(problem.code, 'held');
    assert.equal(problem.status, 409);
    assert.equal(problem.holder.name, 'One');
    assert.equal(problem.isUncertain, false);
    return true;
  });
});

test('no answer, and an answer that is no JSON, are unreachable', async () => {
  answers = [new TypeError('failed'), new Response('<html>', {status: 502})];
  for (let time = 0; time < 2; time += 1) {
    await assert.rejects(api.get('/x'), {code: 'unreachable', isUncertain: true});
  }
});

const pinRequired = () => answer(403, {code: 'pin_required', detail: 'Confirm your PIN.'});

test('a request that needs the PIN is sent again with the token that the PIN has brought', async () => {
  const asked = [];
  api.onPinRequired(async (method) => {
    asked.push(method);
    api.setSession('newer', 'one');
    return true;
  });
  answers = [pinRequired(), answer(200, {changed: true})];
  const options = {body: {reason: 'Crack'}, headers: {'If-Match': '"3"'}};
  assert.deepEqual(await api.send('POST', '/x', options), {changed: true});
  assert.deepEqual(asked, ['POST']);
  assert.deepEqual(sent.map((each) => each.headers['X-CSRF-Token']), ['secret', 'newer']);
  assert.deepEqual(sent.map((each) => each.body), ['{"reason":"Crack"}', '{"reason":"Crack"}']);
  assert.ok(sent.every((each) => each.headers['If-Match'] === '"3"'));
});

test('a request whose PIN was declined is not sent again', async () => {
  api.onPinRequired(async () => false);
  answers = [pinRequired()];
  await assert.rejects(api.send('POST', '/x'), {code: 'pin_required', status: 403});
  assert.equal(sent.length, 1);
});

test('a request asks for the PIN once, whatever the second answer is', async () => {
  let times = 0;
  api.onPinRequired(async () => { times += 1; return true; });
  answers = [pinRequired(), pinRequired()];
  await assert.rejects(api.get('/x'), {code: 'pin_required'});
  answers = [pinRequired(), answer(409, {code: 'held', detail: 'Held.'})];
  await assert.rejects(api.send('POST', '/x'), {code: 'held'});
  assert.equal(times, 2);
  assert.equal(sent.length, 4);
});

test('no other refusal asks for the PIN', async () => {
  api.onPinRequired(async () => { throw new Error('asked'); });
  for (const code of ['forbidden', 'csrf', 'not_holder']) {
    answers = [answer(403, {code, detail: 'No.'})];
    await assert.rejects(api.send('POST', '/x'), {code});
  }
});
