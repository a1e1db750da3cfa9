// Notices of what others did with an item of the signed-in worker.

import assert from 'node:assert/strict';
import {after, test} from 'node:test';

import {install} from './fakes.js';

const CATALOG = {'notice.assigned': '{actor} gave you {tag}', 'event.item.reassigned': '{actor} gave {tag} to {holder}',
  'event.item.force_released': '{actor} took {tag}'};
const restore = install({
  document: {documentElement: {lang: 'en'}, querySelectorAll: () => [{href: '/catalog'}]},
  navigator: {languages: ['en']},
  fetch: async () => Response.json(CATALOG),
});
const {toldBy} = await import('../../occupancy/web/ui/static/js/notice.js');
after(restore);

const ME = '93';
const actor = {id: 'sup', name: 'Ana'};
const held = (id, name = 'Marta') => ({tag: 'T-1', holder: {id, name}, reason: null});
const free = (reason = null) => ({tag: 'T-1', holder: null, reason});
const told = (type, item, before, {by = actor, worker = ME} = {}) => (
  toldBy({type: `item.${type}`, actor: by, item}, before, worker));

test('who is given an item is told by whom', () => {
  assert.equal(told('reassigned', held(ME), free()), 'Ana gave you T-1');
  assert.equal(told('reassigned', held(ME), held('12')), 'Ana gave you T-1');
  assert.equal(told('reassigned', held(ME), undefined), 'Ana gave you T-1');
});

test('who loses an item is told by whom, to whom, and why', () => {
  assert.equal(told('reassigned', held('12', 'Luis'), held(ME)), 'Ana gave T-1 to Luis.');
  assert.equal(told('force_released', free('shift is over'), held(ME)), 'Ana took T-1: shift is over');
});

test('what one does oneself, and what happens to others, is no notice', () => {
  assert.equal(told('force_released', free(), held(ME), {by: {id: ME, name: 'Me'}}), null);
  assert.equal(told('reassigned', held('12'), held('13')), null);
  assert.equal(told('reassigned', held(ME), held(ME)), null);
  assert.equal(told('force_released', free(), held(ME), {worker: null}), null);
});
