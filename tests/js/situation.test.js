// The situations of an empty list.

import assert from 'node:assert/strict';
import {after, test} from 'node:test';

import {install} from './fakes.js';

const restore = install({
  document: {documentElement: {lang: 'en'}, querySelector: () => null, querySelectorAll: () => []},
  navigator: {languages: ['en']},
});
const {situationOf} = await import('../../occupancy/web/ui/static/js/situation.js');
after(restore);

const KNOWN = {isSignedIn: true, isDenied: false, isLoaded: true, status: 'live', known: 60, count: 60};

test('each situation has a name of its own', () => {
  for (const [change, situation] of [
    [{}, 'items'],
    [{count: 0}, 'no_match'],
    [{known: 0, count: 0}, 'empty'],
    [{isLoaded: false, known: 0, count: 0}, 'loading'],
    [{isLoaded: false, known: 0, count: 0, status: 'offline'}, 'unreachable'],
    [{isDenied: true, isLoaded: false, known: 0, count: 0}, 'denied'],
    [{isSignedIn: false, isLoaded: false, known: 0, count: 0}, 'signed_out'],
  ]) {
    assert.equal(situationOf({...KNOWN, ...change}), situation);
  }
});
