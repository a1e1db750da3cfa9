// Stopped items by reason.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import {stopsOf} from '../../occupancy/web/ui/static/js/stops.js';

const item = (tag, state, minute, reason = null) => ({tag, state, reason,
  since: `2026-03-04T12:${String(minute).padStart(2, '0')}:00Z`});
const shown = (items) => stopsOf(items).map(({state, reason, items: all}) => (
  [state, reason, all.map(({tag}) => tag).join()]));

test('items with one reason are one group, whose oldest is first', () => {
  assert.deepEqual(shown([
    item('A', 'paused', 9, 'No material'), item('B', 'paused', 5, 'No material'), item('C', 'paused', 7, 'Lunch'),
  ]), [['paused', 'No material', 'B,A'], ['paused', 'Lunch', 'C']]);
});

test('blocked comes before paused, and the same reason is another group there', () => {
  assert.deepEqual(shown([item('A', 'paused', 1, 'Crack'), item('B', 'blocked', 9, 'Crack'),
    item('C', 'blocked', 3, 'Paint')]),
  [['blocked', 'Paint', 'C'], ['blocked', 'Crack', 'B'], ['paused', 'Crack', 'A']]);
});

test('a reason is one however it was typed, and none is none', () => {
  assert.deepEqual(shown([
    item('A', 'paused', 1, 'Sin señal'), item('B', 'paused', 2, ' SIN SENAL'), item('C', 'paused', 3),
    item('D', 'paused', 4, 'null'), item('E', 'paused', 5),
  ]), [['paused', 'Sin señal', 'A,B'], ['paused', null, 'C,E'], ['paused', 'null', 'D']]);
});

test('what is not stopped is in no group', () => {
  assert.deepEqual(shown(['available', 'occupied', 'completed'].map((state) => item(state, state, 1, 'Old'))), []);
});
