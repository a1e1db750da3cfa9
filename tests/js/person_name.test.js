// The name of the command line, in the page's language.

import assert from 'node:assert/strict';
import {after, test} from 'node:test';

import {install} from './fakes.js';

const restore = install({
  document: {documentElement: {lang: 'es'}, querySelectorAll: () => [{href: '/catalog'}]},
  navigator: {languages: ['es']},
  fetch: async () => Response.json({'person.command_line': 'La línea de comandos'}),
});
const {nameOf} = await import('../../occupancy/web/ui/static/js/person_name.js');
after(restore);

test('the command line has a name in the language of the page', () => {
  assert.equal(nameOf({id: 'cli', name: 'Command line'}), 'La línea de comandos');
});

test('a person keeps their own name, whatever their id is', () => {
  assert.equal(nameOf({id: 'cli', name: 'Clive'}), 'Clive');
  assert.equal(nameOf({id: '93', name: 'Command line'}), 'Command line');
  assert.equal(nameOf(null), '');
  assert.equal(nameOf(undefined), '');
});
