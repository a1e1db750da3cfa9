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
