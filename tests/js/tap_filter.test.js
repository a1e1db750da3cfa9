// The second half of a double tap.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import {isSecondHalf} from '../../occupancy/web/ui/static/js/tap_filter.js';

const FIRST = {x: 100, y: 100, atMs: 1000};

test('the first tap is none', () => {
  assert.equal(isSecondHalf(FIRST, null), false);
});

test('at the same place soon after, whatever stands there now', () => {
  assert.equal(isSecondHalf({x: 110, y: 90, atMs: 1400}, FIRST), true);
});

test('not elsewhere, and not later', () => {
  assert.equal(isSecondHalf({x: 100, y: 160, atMs: 1200}, FIRST), false);
  assert.equal(isSecondHalf({x: 100, y: 100, atMs: 1500}, FIRST), false);
});
