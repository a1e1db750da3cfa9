// The model of a board: events, filters, and the operations offered to a worker.

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {test} from 'node:test';

import './table.js';
import {fold} from '../../occupancy/web/ui/static/js/fold.js';
import {Model, STATES, offered} from '../../occupancy/web/ui/static/js/model.js';
import {Selection} from '../../occupancy/web/ui/static/js/selection.js';

const item = (tag, fields = {}) => ({tag, title: `Part ${tag}`, state: 'available', step: 'work', holder: null,
  reason: null, version: 1, attributes: {}, ...fields});
const held = (tag, id, fields = {}) => item(tag, {state: 'occupied', holder: {id, name: `Worker ${id}`}, ...fields});
const tags = (items) => items.map((each) => each.tag);

/** What a view shows to a worker, in its order. */
function select(model, view = {}, worker = null) {
  const selection = new Selection(model);
  selection.use(view, {worker, steps: []});
  return selection.shown.map((each) => each.item);
}

function modelOf(...items) {
  const model = new Model();
  model.load(items);
  return model;
}

test('an older version never replaces a newer one', () => {
  const model = modelOf(item('A', {version: 5, title: 'new'}));
  model.put(item('A', {version: 4, title: 'old'}));
  model.apply({type: 'item.updated', item: item('A', {version: 5, title: 'same'})});
  assert.equal(model.items.get('A').title, 'new');
  model.put(item('A', {version: 6, title: 'newer'}));
  assert.equal(model.items.get('A').title, 'newer');
});

test('what is not above the floor of the snapshot is in it, or was lost', () => {
  const model = new Model();
  model.load([item('A', {version: 8})], 5e9);
  model.put(item('A', {version: 10, title: 'acknowledged by the old server, and lost'}));
  assert.equal(model.items.get('A').version, 8);
  model.put(item('A', {version: 5e9 + 1}));
  assert.equal(model.items.get('A').version, 5e9 + 1);
  model.load([item('A', {version: 3})], 0); // the server was emptied
  model.put(item('A', {version: 4}));
  assert.equal(model.items.get('A').version, 4);
});

test('the event of a version that was counted again replaces the answer that was lost', () => {
  const model = modelOf(item('A', {version: 5}));
  model.putAnswer(held('A', '93', {version: 6}));
  model.apply({type: 'item.taken', item: held('A', '94', {version: 6})});
  assert.equal(model.items.get('A').holder.id, '94');
  assert.equal(model.unheard.size, 0);
  const heard = [];
  model.onChange((changed) => heard.push(changed));
  model.putAnswer(item('A', {version: 7}));
  model.apply({type: 'item.paused', item: item('A', {version: 7})});
  assert.deepEqual(heard, [['A']]); // the answer was true: nothing to draw again
  model.apply({type: 'item.taken', item: held('A', '93', {version: 7})});
  assert.equal(model.items.get('A').holder, null); // an older event, of before the answer
});

test('an answer is unheard until its event or a snapshot comes', () => {
  const model = modelOf(item('A', {version: 5}), item('B', {version: 5}));
  model.putAnswer(item('A', {version: 5})); // nothing new
  assert.equal(model.unheard.size, 0);
  model.putAnswer(item('A', {version: 7}));
  model.apply({type: 'item.taken', item: item('A', {version: 6})});
  assert.deepEqual([...model.unheard], [['A', 7]]);
  model.apply({type: 'item.paused', item: item('A', {version: 7})});
  assert.equal(model.unheard.size, 0);
  model.putAnswer(item('B', {version: 6}));
  model.load([item('B', {version: 5})]);
  assert.equal(model.unheard.size, 0);
  assert.equal(model.items.get('B').version, 5);
});

test('a removed item goes, unless it is known to be newer', () => {
  const model = modelOf(item('A', {version: 3}), item('B', {version: 9}));
  model.apply({type: 'item.removed', item: item('A', {version: 4})});
  model.apply({type: 'item.removed', item: item('B', {version: 4})});
  assert.deepEqual([...model.items.keys()], ['B']);
});

test('listeners hear which tags changed, and null for a new snapshot', () => {
  const model = modelOf(item('A'));
  const heard = [];
  model.onChange((changed) => heard.push(changed));
  model.put(item('A', {version: 2}));
  model.put(item('A', {version: 2})); // nothing new
  model.load([]);
  assert.deepEqual(heard, [['A'], null]);
});

test('counts have every state', () => {
  const counts = modelOf(item('A'), held('B', '1'), held('C', '1')).counts();
  assert.deepEqual(counts, {occupied: 2, paused: 0, available: 1, blocked: 0, completed: 0});
});

test('what the worker holds comes first, then by state, then by tag', () => {
  const model = modelOf(item('D', {state: 'completed'}), item('C'), held('B', '2'), held('Z', '1'), item('A'));
  assert.deepEqual(tags(select(model, {}, '1')), ['Z', 'B', 'A', 'C', 'D']);
  assert.deepEqual(tags(select(model)), ['B', 'Z', 'A', 'C', 'D']);
});

test('filters add up', () => {
  const model = modelOf(item('A', {step: 'ARM'}), held('B', '1', {step: 'ARM'}), held('C', '2', {step: 'SOLD'}));
  assert.deepEqual(tags(select(model, {state: 'occupied', step: 'ARM'}, '1')), ['B']);
  assert.deepEqual(tags(select(model, {mine: true}, '2')), ['C']);
  assert.deepEqual(tags(select(model, {mine: true}, null)), []);
});

test('all words of a search must be in tag, title, holder, reason or attributes, accents or not', () => {
  const model = modelOf(
    item('A-1', {title: 'Señal de vapor', attributes: {area: 'B2'}}),
    held('A-2', '93', {reason: 'Falta Ángulo'}),
  );
  for (const [text, found] of [
    ['senal', ['A-1']], ['VAPOR b2', ['A-1']], ['vapor b3', []], ['worker 93', ['A-2']], ['angulo', ['A-2']],
    ['  ', ['A-2', 'A-1']], ['a-', ['A-2', 'A-1']],
  ]) {
    assert.deepEqual(tags(select(model, {text})), found, text);
  }
});

test('a search looks at an item as it is now', () => {
  const model = modelOf(item('A'));
  assert.deepEqual(tags(select(model, {text: 'crack'})), []);
  model.put(item('A', {version: 2, reason: 'Crack found'}));
  assert.deepEqual(tags(select(model, {text: 'crack'})), ['A']);
});

test('of 5,000 items a search finds each that matches and no other, in order', () => {
  const all = Array.from({length: 5000}, (_, number) => `S-${number}`);
  const model = modelOf(...all.map((tag) => item(tag)).reverse());
  const found = tags(select(model, {text: 's-49'}));
  assert.equal(found.length, 111);
  assert.deepEqual(new Set(found), new Set(all.filter((tag) => tag.startsWith('S-49'))));
  assert.deepEqual(found.slice(0, 3), ['S-49', 'S-490', 'S-4900']);
});

test('fold leaves letters only', () => {
  assert.equal(fold('ÁÉÍ ñ Ü'), 'aei n u');
});

test('each role is offered what the state allows', () => {
  const mine = held('A', '1');
  const theirs = held('A', '2');
  const of = (state) => item('A', {state});
  const worker = (each) => offered(each, '1', (role) => role === 'worker');
  const supervisor = (each) => offered(each, '1', () => true);
  assert.deepEqual(worker(mine), ['pause', 'complete', 'release']);
  assert.deepEqual(worker(theirs), []);
  assert.deepEqual(STATES.slice(1).map((state) => worker(of(state))), [['take'], ['take'], [], []]);
  assert.deepEqual(supervisor(mine), ['pause', 'complete', 'release', 'reassign', 'block']);
  assert.deepEqual(supervisor(theirs), ['force-release', 'reassign', 'block']);
  assert.deepEqual(STATES.slice(1).map((state) => supervisor(of(state))),
    [['take', 'reassign', 'block'], ['take', 'reassign', 'block'], ['unblock'], ['reopen']]);
});

test('an item that nobody holds can be sent back where there is an earlier step', () => {
  const at = (step, steps, state = 'available') => (
    offered(item('A', {state, step}), '1', () => true, steps).includes('send-back'));
  assert.equal(at('SOLD', ['ARM', 'SOLD']), true);
  assert.equal(at('SOLD', ['ARM', 'SOLD'], 'completed'), true);
  assert.equal(at('ARM', ['ARM', 'SOLD']), false);
  assert.equal(at('SOLD', []), false, 'the steps are not known yet');
  assert.equal(at('SOLD', ['ARM', 'SOLD'], 'blocked'), false);
  const ofAnother = offered({...held('A', '2'), step: 'SOLD'}, '1', () => true, ['ARM', 'SOLD']);
  assert.equal(ofAnother.includes('send-back'), false);
});

const SEARCHES = JSON.parse(readFileSync(new URL('../boards/search.json', import.meta.url), 'utf-8'));

for (const {text, item: fields, found} of SEARCHES) {
  const does = found ? 'finds' : 'does not find';
  test(`as in the API, ${JSON.stringify(text)} ${does} ${JSON.stringify(fields)}`, () => {
    const model = modelOf({...item('T-1', {title: ''}), ...fields});
    assert.equal(select(model, {text}).length, found ? 1 : 0);
  });
}
