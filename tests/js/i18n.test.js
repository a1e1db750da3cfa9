// Texts, numbers and times in the page's language.

import assert from 'node:assert/strict';
import {after, test} from 'node:test';

import {install} from './fakes.js';

const CATALOG = {hello: 'Hello {name}, {name}', 'items.one': '{count} item', 'items.other': '{count} items',
  'since.one': 'la {time}', 'since.today': 'las {time}', 'since.day': 'el {time}'};
const restore = install({
  document: {documentElement: {lang: 'en'}, querySelectorAll: () => [{href: '/catalog'}]},
  navigator: {languages: ['es-MX', 'en-GB', 'en']},
  fetch: async () => Response.json(CATALOG),
});
const {duration, moment, number, sinceText, t, tn} = await import('../../occupancy/web/ui/static/js/i18n.js');
after(restore);

test('a message has its values put in, and only those that are given', () => {
  assert.equal(t('hello', {name: 'World'}), 'Hello World, World');
  assert.equal(t('hello'), 'Hello {name}, {name}');
  assert.equal(t('missing.key'), 'missing.key');
});

test('a value is not looked through for more', () => {
  assert.equal(t('hello', {name: '{name}$&'}), 'Hello {name}$&, {name}$&');
});

test('one and many', () => {
  assert.deepEqual([0, 1, 2, 5000].map((count) => tn('items', count)),
    ['0 items', '1 item', '2 items', '5,000 items']);
  assert.equal(number(1234.5), '1,234.5');
});

test('a duration has its two largest units', () => {
  const shown = [-5, 0, 59.9, 60, 125, 3599, 3600, 11100, 86399, 86400, 360000].map(duration);
  assert.deepEqual(shown, ['0 s', '0 s', '59 s', '1 min 00 s', '2 min 05 s', '59 min 59 s', '1 h 00 min',
    '3 h 05 min', '23 h 59 min', '1 d 0 h', '4 d 4 h']);
});

test('times are as the user of this language writes them', () => {
  assert.match(moment('2020-03-05T23:00:00Z'), /^\d{1,2} Mar 2020, \d\d:\d\d$/);
});

test('a moment of today is a time, of another day has its date', () => {
  const now = new Date();
  assert.doesNotMatch(moment(now), new RegExp(String(now.getFullYear())));
  assert.match(moment('2020-03-05T12:00:00Z'), /2020/);
});

test('a time after "since" has the article of its hour, and of another day its date', () => {
  const at = (hours) => new Date().setHours(hours, 5);
  assert.equal(sinceText(at(9)), 'las 09:05');
  assert.equal(sinceText(at(1)), 'la 01:05');
  assert.equal(sinceText(at(13)), 'las 13:05');
  assert.match(sinceText('2020-03-05T12:00:00Z'), /^el 5 Mar 2020, /);
});
