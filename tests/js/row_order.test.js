// The order of the rows while the list is in use, and while it is not.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import './table.js';
import {Model} from '../../occupancy/web/ui/static/js/model.js';
import {RowOrder} from '../../occupancy/web/ui/static/js/row_order.js';
import {Selection} from '../../occupancy/web/ui/static/js/selection.js';

const item = (tag, fields = {}) => ({tag, title: tag, state: 'available', holder: null, attributes: {}, ...fields});
const told = ({items}) => items.map(({tag, state}) => `${tag} ${state}`);

/** A list in use: `change(...)` puts items as they are now, or removes those without a state. */
function inUse(items, view = {}) {
  const model = new Model();
  model.load(items);
  const selection = new Selection(model);
  selection.use(view, {worker: null, steps: []});
  const order = new RowOrder();
  order.regroup(selection);
  const change = (...changed) => {
    for (const each of changed) {
      if (each.state === null) model.items.delete(each.tag);
      else model.items.set(each.tag, each);
    }
    const tags = new Set(changed.map(({tag}) => tag));
    selection.change(tags);
    order.keep(tags, selection, model.items);
  };
  return {order, selection, change, model};
}

test('a kept list shows what an item is now, where it stood', () => {
  const {order, selection, change} = inUse([item('A'), item('B')]);
  change(item('B', {state: 'occupied'}));
  assert.deepEqual(told(order), ['A available', 'B occupied']);
  assert.equal(order.changes, 1);
  order.regroup(selection);
  assert.deepEqual(told(order), ['B occupied', 'A available']);
  assert.equal(order.changes, 0);
});

test('what changes and changes back is no change', () => {
  const {order, change} = inUse([item('A'), item('B')]);
  change(item('B', {state: 'occupied'}));
  change(item('B'));
  assert.equal(order.changes, 0);
});

test('what the filter hides now keeps its place, and so does what was removed', () => {
  const {order, change} = inUse([item('A'), item('B'), item('C')], {state: 'available'});
  change(item('A', {state: 'occupied'}), item('B', {state: null}));
  assert.deepEqual(told(order), ['A occupied', 'B removed', 'C available']);
  assert.equal(order.changes, 2);
});

test('what is new waits, and is counted', () => {
  const {order, change} = inUse([item('B')]);
  change(item('A'));
  assert.deepEqual(told(order), ['B available']);
  assert.equal(order.changes, 1);
  change(item('A', {state: null}));
  assert.equal(order.changes, 0);
});

test('in a list by title a new title waits too, and the groups stay', () => {
  const {order, change} = inUse([item('A', {title: 'a'}), item('B', {title: 'b'})], {sort: 'title', group: 'section'});
  change(item('A', {title: 'c'}), item('B', {title: 'b', state: 'completed'}));
  assert.deepEqual(order.items.map(({title}) => title), ['c', 'b']);
  assert.equal(order.changes, 2);
  assert.deepEqual(order.groups.map(({start, count}) => [start, count]), [[0, 2]]);
});

test('after another snapshot everything is looked at', () => {
  const {order, selection, model} = inUse([item('A'), item('B')]);
  model.load([item('B', {state: 'occupied'}), item('C')]);
  selection.forget();
  selection.use({}, {worker: null, steps: []});
  order.keep(null, selection, model.items);
  assert.deepEqual(told(order), ['A removed', 'B occupied']);
  assert.equal(order.changes, 3);
});
