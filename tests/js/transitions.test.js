// The transition table on the page: the buttons, their order and their keys.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import './table.js';
import {ENDS, KEYS, OPERATIONS, UNDO, buttonClass, isAdded, mainOf, transitionOf}
  from '../../occupancy/web/ui/static/js/transitions.js';

test('the main operations are beside the item, the primary one first', () => {
  assert.deepEqual(mainOf(['take', 'reassign', 'block']), ['take']);
  assert.deepEqual(mainOf(['pause', 'complete', 'release']), ['complete', 'pause']);
  assert.deepEqual(mainOf(['unblock']), []);
});

test("one's own work ends by a pause or by completing", () => {
  assert.deepEqual(ENDS, ['pause', 'complete']);
});

test('three operations have a key', () => {
  assert.deepEqual([...KEYS], [['t', 'take'], ['p', 'pause'], ['c', 'complete']]);
});

test('what is done to an item by other ways than a button has none', () => {
  assert.equal(OPERATIONS.has('put'), false);
  assert.equal(OPERATIONS.has('remove'), false);
  assert.equal(OPERATIONS.has('undo'), false);
});

test('a take and a completion can be taken back, for a minute', () => {
  const backs = [...OPERATIONS.values()].filter(({undone_by}) => undone_by);
  assert.deepEqual(backs.map(({operation, undone_by}) => [operation, undone_by]),
    [['take', 'release'], ['complete', 'undo']]);
  assert.deepEqual([UNDO.operation, UNDO.key, UNDO.within_s], ['undo', 'z', 60]);
});

test('an event leads to its row; one of a newer server to none', () => {
  assert.equal(transitionOf({type: 'item.force_released'}).operation, 'force-release');
  assert.equal(transitionOf({type: 'item.removed'}).target, 'removed');
  assert.equal(transitionOf({type: 'item.unheard_of'}), undefined);
  assert.deepEqual(['item.added', 'item.updated'].map((type) => isAdded({type})), [true, false]);
});

test('a button says how it stands out and where it leads', () => {
  assert.equal(buttonClass('complete'), 'act complete primary to-advance');
  assert.equal(buttonClass('block'), 'act block minor to-blocked');
});
