// The settings of the page's board: loaded when the stream says another version, and shown.

import assert from 'node:assert/strict';
import {after, beforeEach, test} from 'node:test';

import {install, settle} from './fakes.js';

let answer;
let asked = 0;
const restore = install({
  document: {documentElement: {lang: 'es'}, querySelectorAll: () => [], body: {dataset: {}}, cookie: ''},
  navigator: {languages: ['es']},
  fetch: async () => {
    asked += 1;
    if (answer === null) throw new TypeError('no network');
    return new Response(JSON.stringify(answer), {headers: {'Content-Type': 'application/json'}});
  },
});
after(restore);

const {BoardSettings, itemsOf} = await import('../../occupancy/web/ui/static/js/board_settings.js');

const NAME = {es: {one: 'carrete', many: 'carretes'}, en: {one: 'spool', many: 'spools'}};
const boardOf = (version, more = {}) => ({
  title: 'Taller', steps: ['ARM'], step_titles: {ARM: 'Armado'}, item_name: NAME,
  settings: {version, shown_attributes: ['area', 'peso', 'none'], reasons: []}, ...more,
});

beforeEach(() => { asked = 0; });

test('the board is loaded again when its settings have another version', async () => {
  const loaded = [];
  const settings = new BoardSettings('main', (board) => loaded.push(board.settings.version));
  answer = boardOf(3);
  settings.told(3);
  settings.told(3);
  await settle();
  assert.deepEqual([asked, loaded], [1, [3]]);
  settings.told(3);
  await settle();
  assert.equal(asked, 1);
  answer = boardOf(4);
  settings.told(4);
  await settle();
  assert.deepEqual(loaded, [3, 4]);
});

test('what could not be loaded is loaded when the version is told again', async () => {
  const settings = new BoardSettings('main', () => {});
  answer = null;
  settings.told(3);
  await settle();
  assert.equal(settings.titleOf('ARM'), 'ARM');
  answer = boardOf(3);
  settings.told(3);
  await settle();
  assert.equal(settings.titleOf('ARM'), 'Armado');
  assert.equal(settings.titleOf('GONE'), 'GONE');
});

test('items are called what the board calls them', () => {
  assert.equal(itemsOf(NAME, 1), '1 carrete');
  assert.equal(itemsOf(NAME, 3), '3 carretes');
});

test('the chosen attributes of an item are shown in their order', async () => {
  const settings = new BoardSettings('main', () => {});
  const item = {attributes: {peso: 3, area: 'B2', none: null, other: 'x'}};
  assert.deepEqual(settings.shownOf(item), []);
  answer = boardOf(1);
  await settings.load();
  assert.deepEqual(settings.shownOf(item), [['area', 'B2'], ['peso', '3']]);
});
