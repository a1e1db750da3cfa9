// The monitor: a withheld figure is a gap and not a problem.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import {Monitor, roleOf, sharesOf, usedOf, WINDOW_MS} from '../../occupancy/web/ui/static/js/monitor.js';

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

const process = (name, {timeouts = 0} = {}) => ({process: name, pid: 1,
  ops: {max: 8, in_use: 1, waiting: 0, timeouts, wait_ms: {p99: 1}}, streams: {open: 0, slow: 0, resets: 0}});

function sample(monitor, at, ...workers) {
  monitor.add({...stats({maxclients: 100, connected: 1, ops: 1, pubsub: 0, cli: 0, other: 0}), workers}, at);
}

test('what a counter grows by is counted once, and a counter that begins anew takes nothing back', () => {
  const monitor = new Monitor();
  const counts = [5, 7, 7, 0, 1]; // 5 were there before; a restart under the same name
  counts.forEach((timeouts, index) => sample(monitor, 1000 * (index + 1), process('a', {timeouts})));
  assert.equal(monitor.grown('timeouts'), 3);
  sample(monitor, 6000, process('a', {timeouts: 1}), process('b', {timeouts: 9}));
  assert.equal(monitor.grown('timeouts'), 3, 'what another process had counted before is no growth');
});

test('a process that has ended is kept while the window has figures of it', () => {
  const monitor = new Monitor();
  sample(monitor, 0, process('a'), process('b'));
  for (let at = 2000; at < WINDOW_MS; at += 2000) sample(monitor, at, process('b'));
  assert.deepEqual([...monitor.processes.keys()], ['a', 'b']);
  assert.equal(monitor.processes.get('a').now, null);
  sample(monitor, WINDOW_MS + 2000, process('b'));
  assert.deepEqual([...monitor.processes.keys()], ['b']);
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

test('a role is a primary or a replica, also where Redis has another word for it', () => {
  assert.deepEqual(['master', 'primary'].map(roleOf), Array(2).fill('status.role_primary'));
  assert.deepEqual(['slave', 'replica'].map(roleOf), Array(2).fill('status.role_replica'));
  assert.equal(roleOf('spare'), 'status.role_spare');
  assert.equal(roleOf('sentinel'), 'sentinel');
});

test('connections that ask which server has what are shown where there are several primaries', () => {
  assert.deepEqual(sharesOf({server: {}, servers: []}), ['ops', 'pubsub', 'cli', 'topology']);
  assert.deepEqual(sharesOf({server: {}}), ['ops', 'pubsub', 'cli']);
  assert.deepEqual(sharesOf({server: {}, servers: [], sentinels: []}), ['ops', 'pubsub', 'cli']);
});
