// Days by the clock of the device, and how much of a hold lies in one.

import assert from 'node:assert/strict';
import {test} from 'node:test';

process.env.TZ = 'Europe/Madrid';

const {dayAfter, dayOf, lastsOf, midnightOf, workedIn} = await import(
  '../../occupancy/web/ui/static/js/day_of.js');

const MINUTE = 60 * 1000;
const noon = Date.UTC(2026, 10, 29, 11); // 12:00 in Madrid
const at = (minutes) => new Date(noon + minutes * MINUTE).toISOString();
const hold = (from, to) => ({began_at: from === null ? null : at(from), ended_at: to === null ? null : at(to)});

test('a day is that of the device, not of Greenwich', () => {
  assert.equal(dayOf(Date.UTC(2026, 10, 28, 23, 30)), '2026-11-29');
  assert.equal(midnightOf('2026-11-29'), Date.UTC(2026, 10, 28, 23));
});

test('what is no day has no midnight', () => {
  for (const text of ['', '2026-02-30', '2026-13-01', '26-1-1', '2026-11-29T00:00', '<b>', '2026-11-291']) {
    assert.equal(midnightOf(text), null, text);
  }
});

test('the next day is the next day even where a day has 25 or 23 hours', () => {
  assert.equal(dayAfter('2026-10-25', 1), '2026-10-26');
  assert.equal(midnightOf('2026-10-26') - midnightOf('2026-10-25'), 25 * 60 * MINUTE);
  assert.equal(midnightOf('2026-03-30') - midnightOf('2026-03-29'), 23 * 60 * MINUTE);
  assert.deepEqual([dayAfter('2026-12-31', 1), dayAfter('2026-03-01', -1)], ['2027-01-01', '2026-02-28']);
});

test('a hold counts for as much as lies in the day', () => {
  const lasts = (one) => lastsOf(one, noon, noon + 60 * MINUTE) / 60;
  assert.equal(lasts(hold(10, 25)), 15);
  assert.equal(lasts(hold(-30, 25)), 25);
  assert.equal(lasts(hold(null, 25)), 25);
  assert.equal(lasts(hold(50, 90)), 10);
  assert.equal(lasts(hold(20, null)), 40);
  assert.equal(lasts(hold(70, 90)), 0);
  assert.equal(lasts(hold(-20, -10)), 0);
});

test('two holds at once are one time of work', () => {
  const worked = (...holds) => workedIn(holds, noon, noon + 60 * MINUTE) / 60;
  assert.equal(worked(), 0);
  assert.equal(worked(hold(0, 10), hold(20, 30)), 20);
  assert.equal(worked(hold(0, 30), hold(5, 10), hold(20, 40)), 40);
  assert.equal(worked(hold(30, null), hold(null, 10), hold(70, 90)), 40);
});
