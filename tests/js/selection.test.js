// The selection: the order and the groups of a view, kept while single items change.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import './table.js';
import {Model} from '../../occupancy/web/ui/static/js/model.js';
import {Selection} from '../../occupancy/web/ui/static/js/selection.js';

const STEPS = ['ARM', 'SOLD'];
const READER = {worker: '1', steps: STEPS};
const item = (tag, fields = {}) => ({tag, title: `Part ${tag}`, state: 'available', step: 'ARM', holder: null,
  since: '2026-01-01T00:00:00Z', reason: null, version: 1, attributes: {}, ...fields});
const held = (tag, id, fields = {}) => item(tag, {state: 'occupied', holder: {id, name: `Worker ${id}`}, ...fields});

function selectionOf(items, view = {}) {
  const model = new Model();
  model.load(items);
  const selection = new Selection(model);
  selection.use(view, READER);
  return {model, selection};
}

const tagsOf = ({shown}) => shown.map(({tag}) => tag);
const groupsOf = ({shown, groups}) => groups.map(({start, count}) => (
  shown.slice(start, start + count).map(({tag}) => tag).join()));

test('a reader has groups of their own items, of those of others, of what stands still, is free, is done', () => {
  const {selection} = selectionOf([item('A'), item('B', {state: 'blocked'}), item('C', {state: 'completed'}),
    item('D', {state: 'paused'}), held('E', '2'), held('F', '1')], {group: 'section'});
  assert.deepEqual(groupsOf(selection), ['F', 'E', 'D,B', 'A', 'C']);
});

test('columns are the steps, and what is completed; of a board with one step what can be done', () => {
  const items = [item('A', {step: 'SOLD'}), item('B'), item('C', {step: 'SOLD', state: 'completed'}),
    item('D', {step: 'OLD'})];
  const {selection} = selectionOf(items, {group: 'column'});
  assert.deepEqual(selection.groups.map(({value, count}) => [value, count]), [[0, 1], [1, 2], [2, 1]]);
  selection.use({group: 'column'}, {worker: null, steps: ['ARM']});
  assert.deepEqual(groupsOf(selection), ['A,B,D', 'C']);
});

for (const [sort, isReversed, found] of [
  ['tag', false, 'A,B,C,D'], ['tag', true, 'D,C,B,A'], ['title', false, 'C,A,B,D'], ['since', false, 'D,A,B,C'],
  ['since', true, 'A,B,C,D'], ['step', false, 'A,C,D,B'], ['holder', false, 'B,A,C,D'], ['holder', true, 'B,A,C,D'],
  ['a:size', false, 'C,A,B,D'], ['a:size', true, 'A,C,B,D'],
]) {
  test(`sorted by ${sort}${isReversed ? ', reversed' : ''}; an item without a value comes last`, () => {
    const {selection} = selectionOf([
      item('A', {title: 'Spool 10', attributes: {size: 10}}), held('B', '2', {title: 'Válvula', step: 'SOLD'}),
      item('C', {title: 'spool 9', attributes: {size: '9'}}),
      item('D', {title: 'Zapata', since: '2025-12-01T00:00:00Z'}),
    ], {sort, isReversed});
    assert.equal(tagsOf(selection).join(), found);
  });
}

test('after any changes the order is the one that a sort would make', () => {
  const items = Array.from({length: 200}, (_, number) => item(`T-${number}`, {title: `${(number * 37) % 20}`}));
  for (const view of [{}, {group: 'section', sort: 'title'}, {state: 'available', sort: 'since', isReversed: true},
    {text: 'part 1'}]) {
    const {model, selection} = selectionOf(items, view);
    for (let turn = 0; turn < 300; turn += 1) {
      const tag = `T-${(turn * 53) % 210}`;
      if (turn % 7 === 0) model.items.delete(tag);
      else model.put(item(tag, {version: turn + 2, title: `${turn % 13}`, state: turn % 3 ? 'available' : 'paused'}));
      selection.change(new Set([tag]));
    }
    const anew = new Selection(model);
    anew.use(view, READER);
    assert.deepEqual(tagsOf(selection), tagsOf(anew));
    assert.deepEqual(selection.groups, anew.groups);
  }
});

test('a change of what the filter hides leaves the list as it is', () => {
  const {model, selection} = selectionOf([item('A'), item('B', {state: 'blocked'})], {state: 'available'});
  const before = selection.shown;
  model.put(item('B', {version: 2, state: 'paused'}));
  selection.change(new Set(['B']));
  assert.equal(selection.shown, before);
});

test('a search is prepared piece by piece, and finds the same', () => {
  const {model, selection} = selectionOf([item('A', {title: 'Señal'}), item('B')]);
  assert.equal(model.prepareSearch(1), true);
  assert.equal(model.prepareSearch(5), false);
  selection.use({text: 'senal'}, READER);
  assert.deepEqual(tagsOf(selection), ['A']);
});
