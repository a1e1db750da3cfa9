// The monitor: a withheld figure is a gap and not a problem.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import {Monitor, usedOf} from '../../occupancy/web/ui/static/js/monitor.js';

const FRESH = {isFresh: true, ready: {status: 'ready'}, health: {status: 'healthy'}};

function stats(server) {
  return {budget: {limit: 20, workers: 0, nodes: 1, reserved: 2}, server, workers: []};
}

test('connections that the server does not count are unknown, not none', () => {
  assert.equal(usedOf({ops: null, pubsub: null, cli: null}), null);
  const monitor = new Monitor();
  monitor.add(stats({maxclients: null, connected: null, ops: null, pubsub: null, cli: null, other: null}), 1000);
  assert.equal(monitor.totals.at(-1).used, null);
  assert.deepEqual(monitor.findings(FRESH), []);
});

test('connections near the budget are a finding', () => {
  const monitor = new Monitor();
  monitor.add(stats({maxclients: 100, connected: 19, ops: 15, pubsub: 3, cli: 1, other: 0}), 1000);
  assert.equal(usedOf({ops: 15, pubsub: 3, cli: 1}), 19);
  assert.deepEqual(monitor.findings(FRESH).map(({key}) => key), ['status.budget_near']);
});

test('a slot move is not said to be a promotion', () => {
  const keys = (kind) => {
    const monitor = new Monitor();
    const at = new Date(900).toISOString();
    const server = {maxclients: 100, connected: 1, ops: 1, pubsub: 0, cli: 0, other: 0};
    monitor.add({...stats(server), promotions: [{at, server: 'a:1', kind}]}, 1000);
    return monitor.findings(FRESH).map(({key}) => key);
  };
  assert.deepEqual(keys('slot_move'), ['status.slots_moved']);
  assert.deepEqual(keys('promotion'), ['status.promoted']);
});
