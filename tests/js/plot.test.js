import assert from 'node:assert/strict';
import {test} from 'node:test';
import {scale} from '../../occupancy/web/ui/static/js/plot.js';

test('a scale has at most three round steps', () => {
  assert.deepEqual(scale(22), [30, 10]);
  assert.deepEqual(scale(100), [100, 50]);
  assert.deepEqual(scale(0), [1, 1]);
});

test('the top of a low plot is close to its most', () => {
  for (const [most, top] of [[22, 30], [50, 50], [51, 60], [100, 100], [101, 200]]) {
    assert.deepEqual(scale(most, {steps: 1}), [top, top]);
  }
});

test('a scale of whole numbers has no fractions', () => {
  assert.deepEqual(scale(1), [1, 1]);
  assert.deepEqual(scale(0.4, {least: 0.1, whole: false}), [0.4, 0.2]);
});
