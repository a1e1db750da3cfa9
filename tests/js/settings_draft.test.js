// The settings of a board as they are edited: what is sent, what is wrong, what others have changed.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import {isBoardId, isStepId, proposedBoardId, proposedStepId} from '../../occupancy/web/ui/static/js/board_ids.js';
import {bodyOf, changedFields, merge, problemsOf, stepsOf, valuesOf} from
  '../../occupancy/web/ui/static/js/settings_draft.js';
import {textProblem} from '../../occupancy/web/ui/static/js/text_rules.js';

const BOARD = {
  title: 'Shop', steps: ['ARM', 'SOLD'], step_titles: {ARM: 'Armado', SOLD: 'SOLD'},
  item_name: {es: {one: 'pieza', many: 'piezas'}, en: {one: 'piece', many: 'pieces'}},
  settings: {max_holds: null, time_zone: 'UTC', shown_attributes: ['area'], reasons: [], version: 4},
};

/** The values of the board, changed by `edit`. */
function edited(edit) {
  const values = valuesOf(BOARD);
  edit(values);
  return values;
}

const body = (edit) => bodyOf(valuesOf(BOARD), edited(edit));
const problems = (edit) => Object.fromEntries(problemsOf(edited(edit)));

test('only what differs is sent, without spaces around and without empty lines', () => {
  assert.deepEqual(body(() => {}), {});
  assert.deepEqual(body((each) => { each.title = ' Shop '; each.reasons = ['', ' ']; }), {});
  assert.deepEqual(body((each) => { each.reasons = [' No material ', '']; }), {reasons: ['No material']});
  assert.deepEqual(body((each) => { each.max_holds = '3'; }), {max_holds: 3});
  assert.deepEqual(body((each) => { each.steps.push({step: '', title: ' ', isNew: true}); }), {});
  assert.deepEqual(body((each) => { each.steps.reverse(); }),
    {steps: [{step: 'SOLD', title: 'SOLD'}, {step: 'ARM', title: 'Armado'}]});
});

test('what is empty becomes the default', () => {
  const empty = {one: '', many: ' '};
  assert.deepEqual(body((each) => { each.item_name = {es: empty, en: empty}; each.time_zone = ' '; }),
    {item_name: null, time_zone: null});
  assert.deepEqual(bodyOf({...valuesOf(BOARD), max_holds: '3'}, valuesOf(BOARD)), {max_holds: null});
});

test('the values of a board are not changed by editing them', () => {
  edited((each) => { each.item_name.es.one = 'x'; each.steps[0].title = 'x'; each.shown_attributes.push('x'); });
  assert.equal(BOARD.item_name.es.one, 'pieza');
  assert.deepEqual(BOARD.settings.shown_attributes, ['area']);
});

test('what is wrong is found at its place', () => {
  assert.deepEqual(problems(() => {}), {});
  assert.deepEqual(problems((each) => { each.title = '\u200b'; }), {title: 'blank'});
  assert.deepEqual(problems((each) => { each.steps[1].title = ' Armado'; }), {'steps.1.title': 'twice'});
  assert.deepEqual(problems((each) => { each.steps[0].title = ''; }), {'steps.0.title': 'blank'});
  assert.deepEqual(problems((each) => { each.steps.push({step: 'ARM', title: 'New', isNew: true}); }),
    {'steps.2.step': 'twice'});
  assert.deepEqual(problems((each) => { each.steps.push({step: '', title: '!!!', isNew: true}); }),
    {'steps.2.step': 'id'});
  assert.deepEqual(problems((each) => { each.item_name.en.many = ''; }), {'item_name.en.many': 'blank'});
  assert.deepEqual(problems((each) => { each.reasons = ['a', '', ' a']; }), {'reasons.2': 'twice'});
  assert.deepEqual(problems((each) => { each.shown_attributes = ['a\u202eb']; }), {'shown_attributes.0': 'character'});
});

test('a limit is a whole number up to a thousand, a time zone one that exists', () => {
  for (const wrong of ['0', '1001', '1.5', '-1', 'many', '1e2']) {
    assert.deepEqual(problems((each) => { each.max_holds = wrong; }), {max_holds: 'limit'}, wrong);
  }
  for (const wrong of ['America/Nowhere', '+05:00', 'Lima?']) {
    assert.deepEqual(problems((each) => { each.time_zone = wrong; }), {time_zone: 'zone'}, wrong);
  }
  assert.deepEqual(problems((each) => { each.max_holds = ' 1000 '; each.time_zone = 'America/Lima'; }), {});
});

test('what others have changed is taken over, and what was typed stays', () => {
  const base = valuesOf(BOARD);
  const mine = edited((each) => { each.title = 'Mine'; each.reasons = ['a']; });
  const theirs = edited((each) => { each.title = 'Theirs'; each.max_holds = '5'; });
  const {both, merged, isSame} = merge(base, mine, theirs);
  assert.deepEqual([both, isSame], [['title'], false]);
  assert.deepEqual([merged.title, merged.reasons, merged.max_holds], ['Mine', ['a'], '5']);
  assert.deepEqual(changedFields(theirs, merged), ['title', 'reasons']);
});

test('a change that stands already is no conflict: its answer was lost, or both wanted the same', () => {
  const mine = edited((each) => { each.title = 'Mine'; });
  assert.deepEqual(merge(valuesOf(BOARD), mine, mine).both, []);
  assert.equal(merge(valuesOf(BOARD), mine, mine).isSame, true);
  const more = {...mine, max_holds: '5'};
  assert.equal(merge(valuesOf(BOARD), mine, more).isSame, true);
});

test('ids are proposed from titles, free and of the allowed form', () => {
  assert.equal(proposedBoardId('Línea de Ñandú 2', []), 'linea-de-nandu-2');
  assert.equal(proposedBoardId(' Shop! ', ['shop', 'shop-2']), 'shop-3');
  assert.equal(proposedBoardId('日本', []), '');
  assert.equal(proposedStepId('Control de presión', []), 'CONTROL-DE-PRESION');
  assert.equal(proposedStepId('溶接', []), '溶接');
  assert.equal(proposedStepId('Straße', ['STRASSE']), 'STRASSE-2');
  const long = 'word '.repeat(20);
  assert.ok(isBoardId(proposedBoardId(long, [proposedBoardId(long, [])])));
  assert.ok(isStepId(proposedStepId(long, [proposedStepId(long, [])])));
  assert.notEqual(proposedStepId(long, [proposedStepId(long, [])]), proposedStepId(long, []));
});

test('ids of the server are accepted, others are not', () => {
  assert.deepEqual(['a', 'A-1_b', 'a'.repeat(32)].map(isBoardId), [true, true, true]);
  assert.deepEqual(['', '-a', 'línea', 'a b', 'a'.repeat(33), 'a\n'].map(isBoardId), Array(6).fill(false));
  assert.deepEqual(['ARM', 'Paso 1: á/é_.-', 'ñ'].map(isStepId), [true, true, true]);
  assert.deepEqual(['', ' A', '_A', 'A"', 'A\n', 'A'.repeat(33)].map(isStepId), Array(6).fill(false));
});

test('a text must show something, and in the order in which it is written', () => {
  assert.deepEqual(['a', '<b>', 'ä', '日', '👍'].map(textProblem), Array(5).fill(null));
  assert.deepEqual(['', ' ', '\u200b', '\u2800', '\u0301'].map(textProblem), Array(5).fill('blank'));
  assert.deepEqual(['a\tb', 'a\u202eb', '\ud800'].map(textProblem), Array(3).fill('character'));
});

test('added lines that are empty are no steps', () => {
  assert.deepEqual(stepsOf([{step: '', title: '', isNew: true}]), []);
  assert.deepEqual(stepsOf([{step: 'A', title: ' a ', isNew: true}]), [{step: 'A', title: 'a'}]);
});
