// The requests that draw many labels.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import {pagesFor, requestsFor} from '../../occupancy/web/ui/static/js/label_requests.js';

const tagsOf = (count, width = 6) => Array.from({length: count}, (_, at) => `T-${String(at).padStart(width, '0')}`);
const asked = (requests) => requests.flatMap(({query}) => query.split('tags=')[1].split(','));

test('every tag is asked for once, in order', () => {
  for (const [count, perPage, first] of [
    [1, 24, 1], [24, 24, 1], [25, 24, 24], [1000, 24, 5], [1000, 1, 1], [50, 14, 3],
  ]) {
    const tags = tagsOf(count);
    const requests = requestsFor(tags, {stock: 's', perPage, first});
    assert.deepEqual(asked(requests), tags);
    assert.equal(requests.reduce((sum, each) => sum + each.count, 0), count);
  }
});

test('only the last request leaves a page with free labels', () => {
  const requests = requestsFor(tagsOf(100), {stock: 's', perPage: 24, first: 5});
  assert.equal((requests[0].count + 4) % 24, 0);
  for (const each of requests.slice(1, -1)) assert.equal(each.count % 24, 0);
  assert.match(requests[0].query, /^stock=s&first=5&tags=/);
  assert.ok(requests.slice(1).every(({query}) => !query.includes('first')));
});

test('no request is too long for an address, even with the longest tags', () => {
  for (const perPage of [1, 14, 21, 24]) {
    const requests = requestsFor(tagsOf(500, 62), {stock: 'label-100x50', perPage});
    assert.ok(Math.max(...requests.map(({query}) => query.length)) < 3800);
  }
});

test('nothing to draw is no request', () => {
  assert.deepEqual(requestsFor([], {stock: 's', perPage: 24}), []);
  assert.equal(pagesFor(0, {perPage: 24}), 0);
});

test('used labels of the first page count', () => {
  assert.equal(pagesFor(24, {perPage: 24}), 1);
  assert.equal(pagesFor(24, {perPage: 24, first: 2}), 2);
  assert.equal(pagesFor(30, {perPage: 1}), 30);
});
