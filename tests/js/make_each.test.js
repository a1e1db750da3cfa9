// One request for each of many people.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import {Problem} from '../../occupancy/web/ui/static/js/api.js';
import {makeEach} from '../../occupancy/web/ui/static/js/make_each.js';

const PEOPLE = ['a', 'b', 'c'].map((id) => ({id}));
const ids = (list) => list.map((each) => (each.person ?? each).id);
const pause = async () => {};

/** Answers by person: a list of errors to throw first, then the result. */
function maker(failures) {
  const sent = [];
  return {sent, async make({id}) {
    sent.push(id);
    const next = failures[id]?.shift();
    if (next) throw new Problem(next);
    return `made ${id}`;
  }};
}

const LOST = {code: 'unreachable', status: 0};

test('each gets one request', async () => {
  const {make, sent} = maker({});
  const found = await makeEach(PEOPLE, make, {pause});
  assert.deepEqual(ids(found.made), ['a', 'b', 'c']);
  assert.deepEqual(sent, ['a', 'b', 'c']);
});

test('a lost answer is asked for again, and counts once', async () => {
  const {make, sent} = maker({b: [LOST]});
  const found = await makeEach(PEOPLE, make, {pause});
  assert.deepEqual(ids(found.made), ['a', 'b', 'c']);
  assert.deepEqual(sent, ['a', 'b', 'b', 'c']);
});

test('without an answer at last it is uncertain for that one, and nothing is sent for the others', async () => {
  const {make, sent} = maker({b: [LOST, LOST, LOST, LOST]});
  const found = await makeEach(PEOPLE, make, {pause});
  assert.deepEqual([ids(found.made), ids(found.uncertain), ids(found.left)], [['a'], ['b'], ['c']]);
  assert.ok(!sent.includes('c'));
  assert.equal(found.problem.code, 'unreachable');
});

test('a refusal concerns one person only', async () => {
  const {make} = maker({b: [{code: 'worker_not_found', status: 404}]});
  const found = await makeEach(PEOPLE, make, {pause});
  assert.deepEqual([ids(found.made), ids(found.refused), ids(found.left)], [['a', 'c'], ['b'], []]);
});

test('the end of the session leaves the rest, and nothing is uncertain', async () => {
  const {make} = maker({b: [{code: 'unauthenticated', status: 401}]});
  const found = await makeEach(PEOPLE, make, {pause});
  assert.deepEqual([ids(found.made), ids(found.uncertain), ids(found.left)], [['a'], [], ['b', 'c']]);
});

test('somebody else at the device ends it', async () => {
  const {make, sent} = maker({});
  const found = await makeEach(PEOPLE, make, {pause, isCurrent: () => sent.length < 2});
  assert.deepEqual([ids(found.made), ids(found.left)], [['a', 'b'], ['c']]);
});
