// Work time from a history.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import './table.js';
import {workOf, workedNow} from '../../occupancy/web/ui/static/js/worked_time.js';

const ONE = {id: '1', name: 'One'};
const TWO = {id: '2', name: 'Two'};
const at = (minute) => `2026-11-22T10:${String(minute).padStart(2, '0')}:00Z`;
const NOW = Date.parse(at(59));

/** Events newest first, as the API has them, from rows of minute, type, state, holder, step. */
function historyOf(...rows) {
  return rows.map(([minute, type, state, holder = null, step = 'ARM']) => (
    {at: at(minute), type: `item.${type}`, item: {state, holder, step}})).reverse();
}

const told = (events) => workOf(events, NOW).map(({worker, step, seconds, isRunning}) => (
  `${worker} ${step} ${seconds / 60}${isRunning ? '+' : ''}`));

test('nothing has happened', () => {
  assert.deepEqual(told([]), []);
});

test('each worker and step by itself, the longest first', () => {
  const events = historyOf(
    [0, 'added', 'available'], [1, 'taken', 'occupied', ONE], [3, 'paused', 'paused'],
    [4, 'taken', 'occupied', TWO], [14, 'completed', 'available', null, 'SOLD'],
    [20, 'taken', 'occupied', ONE, 'SOLD'], [25, 'completed', 'completed', null, 'SOLD'],
  );
  assert.deepEqual(told(events), ['Two ARM 10', 'One SOLD 5', 'One ARM 2']);
});

test('what is under way counts up to now', () => {
  assert.deepEqual(told(historyOf([1, 'taken', 'occupied', ONE], [2, 'paused', 'paused'],
    [49, 'taken', 'occupied', ONE])), ['One ARM 11+']);
});

test('a release takes its work back', () => {
  assert.deepEqual(told(historyOf([1, 'taken', 'occupied', ONE], [9, 'released', 'available'])), []);
});

test('a reassign ends the work of one and begins that of the other', () => {
  assert.deepEqual(told(historyOf([1, 'taken', 'occupied', ONE], [4, 'reassigned', 'occupied', TWO],
    [5, 'blocked', 'blocked'])), ['One ARM 3', 'Two ARM 1']);
});

test('an edit while somebody works changes nothing', () => {
  assert.deepEqual(told(historyOf([1, 'taken', 'occupied', ONE], [2, 'updated', 'occupied', ONE],
    [3, 'force_released', 'paused'])), ['One ARM 2']);
});

test('a release takes back what others worked since the item was last free, as on the server', () => {
  assert.deepEqual(told(historyOf([1, 'taken', 'occupied', ONE], [4, 'reassigned', 'occupied', TWO],
    [9, 'released', 'available'])), []);
});

test('an undo takes back the end of the work, and the minutes in between count', () => {
  const events = [[1, 'taken', 'occupied', ONE], [4, 'reassigned', 'occupied', TWO],
    [9, 'completed', 'available', null, 'SOLD'], [11, 'undone', 'occupied', TWO]];
  assert.deepEqual(told(historyOf(...events, [14, 'paused', 'paused'])), ['Two ARM 10', 'One ARM 3']);
  assert.deepEqual(told(historyOf(...events, [14, 'released', 'available'])), []);
  assert.deepEqual(told(historyOf(...events, [14, 'completed', 'available', null, 'SOLD'],
    [15, 'undone', 'occupied', TWO])), ['Two ARM 55+', 'One ARM 3']);
});

test('an undo whose completion is not loaded goes on from the start of the hold', () => {
  const [event] = historyOf([11, 'undone', 'occupied', ONE]);
  event.item.since = at(5);
  assert.deepEqual(told([event]), ['One ARM 54+']);
});

test('a completion that nobody undid counts once', () => {
  assert.deepEqual(told(historyOf([1, 'taken', 'occupied', ONE], [9, 'completed', 'available', null, 'SOLD'],
    [10, 'updated', 'available', null, 'SOLD'], [12, 'sent_back', 'available'],
    [20, 'taken', 'occupied', ONE], [21, 'paused', 'paused'])), ['One ARM 9']);
});

test('what is under way goes on from what the server has counted', () => {
  assert.equal(workedNow({state: 'occupied', since: at(57), worked_s: 60}, NOW), 180);
  assert.equal(workedNow({state: 'paused', since: at(57), worked_s: 60}, NOW), 60);
});
