// The server's time, whatever the device's clock says.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import {Clock} from '../../occupancy/web/ui/static/js/clock.js';

const SERVER_MS = Date.parse('2026-01-01T00:00:00Z');

/** A device whose clock is off; `serverMs()` is the truth. */
function device({offMs = 0, bootMs = 5000} = {}) {
  const it = {nowMs: bootMs, aheadMs: SERVER_MS - bootMs};
  it.serverMs = () => it.nowMs + it.aheadMs;
  it.clock = new Clock(() => it.nowMs, () => it.serverMs() + offMs);
  it.answer = (tookMs = 20) => {
    const askedMs = it.nowMs;
    it.nowMs += tookMs / 2;
    const dateMs = Math.floor(it.serverMs() / 1000) * 1000;
    it.nowMs += tookMs / 2;
    it.clock.learnAnswer(dateMs, askedMs);
  };
  it.errorMs = () => Math.abs(it.clock.serverNow() - it.serverMs());
  return it;
}

test('until anybody answers, the device is believed', () => {
  assert.equal(device({offMs: 7000}).errorMs(), 7000);
});

test('the first answer puts a clock right that is hours off, and more make it exact', () => {
  const it = device({offMs: -5 * 3600 * 1000});
  it.nowMs += 350;
  it.answer();
  assert.ok(it.errorMs() <= 510);
  for (let time = 0; time < 20; time += 1) {
    it.nowMs += 2130;
    it.answer();
  }
  assert.ok(it.errorMs() <= 100, `${it.errorMs()} ms off`);
});

test('an event tells that its moment has passed, an old one nothing', () => {
  const it = device();
  it.answer();
  it.nowMs += 950;
  it.clock.learnPast(it.serverMs() - 3);
  it.clock.learnPast(it.serverMs() - 3_600_000);
  assert.ok(it.clock.serverNow() >= it.serverMs() - 510);
  assert.ok(it.errorMs() <= 510);
});

test('a server whose clock was set, and a device that slept, are followed at the next answer', () => {
  for (const jumpMs of [3_600_000, -3_600_000, 2000]) {
    const it = device();
    it.answer();
    it.aheadMs += jumpMs;
    it.nowMs += 1000;
    it.answer();
    assert.ok(it.errorMs() <= 510, `${it.errorMs()} ms off`);
  }
});

test('clocks that drift apart stay together over days', () => {
  const it = device();
  for (let minute = 0; minute < 3 * 1440; minute += 1) {
    it.nowMs += 60_000;
    it.aheadMs += 60_000 * 5e-5;
    it.answer();
    assert.ok(it.errorMs() <= 520);
  }
});
