// The places of rows in a virtual list, with and without headings.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import {RowPlaces} from '../../occupancy/web/ui/static/js/row_places.js';

function placesOf(total, groups = []) {
  const places = new RowPlaces();
  places.measure({row: 100, heading: 40});
  places.hold(total, groups);
  return places;
}

test('rows without headings follow one another', () => {
  const places = placesOf(3);
  assert.deepEqual([0, 1, 2].map((index) => places.of(index)), [0, 100, 200]);
  assert.equal(places.height, 300);
});

test('a row is below the headings of its group and of those before', () => {
  const places = placesOf(3, [{start: 0}, {start: 2}]);
  assert.deepEqual([0, 1, 2].map((index) => places.of(index)), [40, 140, 280]);
  assert.equal(places.height, 380);
});

test('the row at a place is the first that ends below it', () => {
  const places = placesOf(3, [{start: 0}, {start: 2}]);
  assert.deepEqual([0, 139, 140, 239, 240, 379, 380].map((place) => places.indexAt(place)), [0, 0, 1, 1, 2, 2, 3]);
});

test('an empty list has no height', () => {
  assert.equal(placesOf(0).height, 0);
});

test('what most rows have moved by is the shift, whatever happened to one of them', () => {
  const keyOf = (key) => key;
  const before = new Map([['A', 0], ['B', 100], ['C', 200]]);
  assert.equal(placesOf(4).shiftSince(before, ['N', 'A', 'B', 'C'], keyOf), 100);
  assert.equal(placesOf(4).shiftSince(before, ['N', 'B', 'C', 'A'], keyOf), 0);
  assert.equal(placesOf(1).shiftSince(before, ['N'], keyOf), 0);
  assert.equal(placesOf(1).shiftSince(new Map(), ['A'], keyOf), 0);
});
