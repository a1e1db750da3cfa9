// The order of the rows while the list is in use, and while it is not.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import {RowOrder} from '../../occupancy/web/ui/static/js/row_order.js';

const item = (tag, state = 'available') => ({tag, state, holder: null});
const rankOf = ({state}) => ['occupied', 'available'].indexOf(state);
const mapOf = (items) => new Map(items.map((each) => [each.tag, each]));
const told = (items) => items.map(({tag, state}) => `${tag} ${state}`);

function orderOf(...items) {
  const order = new RowOrder();
  order.regroup(items, rankOf);
  return order;
}

test('a kept list shows what an item is now, where it stood', () => {
  const order = orderOf(item('A'), item('B'));
  const now = [item('B', 'occupied'), item('A')];
  assert.deepEqual(told(order.keep(now, rankOf, mapOf(now))), ['A available', 'B occupied']);
  assert.equal(order.changes, 1);
  assert.deepEqual(told(order.regroup(now, rankOf)), ['B occupied', 'A available']);
  assert.equal(order.changes, 0);
});

test('what changes and changes back is no change', () => {
  const order = orderOf(item('A'), item('B'));
  const now = [item('B', 'occupied'), item('A')];
  order.keep(now, rankOf, mapOf(now));
  const again = [item('A'), item('B')];
  order.keep(again, rankOf, mapOf(again));
  assert.equal(order.changes, 0);
});

test('what the filter hides now keeps its place, and so does what was removed', () => {
  const order = orderOf(item('A'), item('B'), item('C'));
  const known = mapOf([item('A', 'occupied'), item('C')]);
  assert.deepEqual(told(order.keep([item('C')], rankOf, known)), ['A occupied', 'B removed', 'C available']);
  assert.equal(order.changes, 2);
});

test('what is new waits, and is counted', () => {
  const order = orderOf(item('B'));
  const now = [item('A'), item('B')];
  assert.deepEqual(told(order.keep(now, rankOf, mapOf(now))), ['B available']);
  assert.equal(order.changes, 1);
});
