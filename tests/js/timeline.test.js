// The day of a board: counts at a time, steps by the hour, and today's.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import {
  chartOf, completedPerHour, completedToday, countsOf, hoursBetween, readTimeline, valueAt,
} from '../../occupancy/web/ui/static/js/timeline.js';

const HOUR = 3600 * 1000;
const MINUTE = 60 * 1000;
const noon = new Date(2026, 2, 4, 12).getTime(); // by the clock of the device, as people read it
const point = (at, completions, paused = 0) => ({at, completions, counts: {occupied: 1, paused}});

test('between two points is a straight line, before the first nothing, after the last what it was', () => {
  const points = [point(noon, 10), point(noon + HOUR, 20)];
  const steps = (at) => valueAt(points, at, ({completions}) => completions);
  assert.deepEqual([noon - 1, noon, noon + HOUR / 4, noon + HOUR, noon + 9 * HOUR].map(steps),
    [null, 10, 12.5, 20, 20]);
  assert.equal(valueAt([], noon, () => 1), null);
});

test('the times of an answer are read', () => {
  const points = readTimeline({points: [{...point(0, 3), at: '2026-03-04T12:00:00.500Z'}]});
  assert.deepEqual(points, [point(Date.UTC(2026, 2, 4, 12, 0, 0, 500), 3)]);
});

test('the counts begin where the chart does', () => {
  const points = [point(noon - HOUR, 0, 2), point(noon + HOUR, 0, 6)];
  assert.deepEqual(countsOf(points, ['occupied', 'paused'], noon), [
    {at: noon, values: [1, 4]}, {at: noon + HOUR, values: [1, 6]},
  ]);
  assert.deepEqual(countsOf(points.slice(1), ['paused'], noon), [{at: noon + HOUR, values: [6]}]);
});

test('each hour has its own steps, and what is not known yet is a gap', () => {
  const points = [point(noon - 2 * HOUR, 100), point(noon - HOUR, 100), point(noon, 104),
    point(noon + HOUR, 107), point(noon + HOUR + 30 * MINUTE, 112)];
  const rows = completedPerHour(points, noon - HOUR, noon + HOUR + 30 * MINUTE);
  assert.deepEqual(rows.map(({at, until, values}) => [(at - noon) / HOUR, (until - noon) / HOUR, ...values]),
    [[-1, 0, 4], [0, 1, 3], [1, 1.5, 5]]);
  const late = completedPerHour(points.slice(2), noon - HOUR, noon + HOUR);
  assert.deepEqual(late.map(({values}) => values[0]), [0, 3]);
});

test('today begins at midnight, or where the first point is', () => {
  const midnight = new Date(2026, 2, 4).getTime();
  const points = [point(midnight - 5 * HOUR, 100), point(midnight, 150), point(noon, 162)];
  assert.deepEqual(completedToday(points, noon), {count: 12, since: midnight, isWhole: true});
  assert.deepEqual(completedToday([point(noon - HOUR, 155), point(noon, 162)], noon),
    {count: 7, since: noon - HOUR, isWhole: false});
  assert.equal(completedToday([], noon), null);
});

test('a chart begins where the timeline does, but shows 2 to 12 hours', () => {
  const begun = (hours) => {
    const {from, isWhole} = chartOf([point(noon - hours * HOUR, 0), point(noon, 0)], noon);
    return [(noon - from) / HOUR, isWhole];
  };
  assert.deepEqual([0.5, 2, 5, 12, 20].map(begun), [[2, false], [2, true], [5, true], [12, true], [12, false]]);
  assert.deepEqual(chartOf([], noon), {from: noon - 2 * HOUR, isWhole: false});
});

test('the marks of the chart are full hours', () => {
  assert.deepEqual(hoursBetween(noon - HOUR / 2, noon + 4 * HOUR, 2).map((at) => (at - noon) / HOUR), [0, 2, 4]);
});
