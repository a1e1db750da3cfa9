// Restored pages: nothing of the last user is seen before the server has said who is signed in.

import assert from 'node:assert/strict';
import {afterEach, beforeEach, test} from 'node:test';

import {onRestored} from '../../occupancy/web/ui/static/js/restored.js';
import {install, settle} from './fakes.js';

let page;
let classes;
let dialog;
let secret;
let checks; // each lets its check() end
let restore;

beforeEach(() => {
  page = new EventTarget();
  classes = new Set();
  dialog = {isOpen: true, close() { this.isOpen = false; }};
  secret = {value: '258'};
  checks = [];
  restore = install({
    addEventListener: page.addEventListener.bind(page),
    document: {
      body: {classList: {add: (name) => classes.add(name), remove: (name) => classes.delete(name)}},
      querySelectorAll: (selector) => ({'dialog[open]': [dialog], 'input[type="password"]': [secret]})[selector],
    },
  });
  onRestored(() => new Promise((resolve) => { checks.push(resolve); }));
});
afterEach(() => restore());

const say = (name, persisted = true) => page.dispatchEvent(Object.assign(new Event(name), {persisted}));
const isConcealed = () => classes.has('concealed');

test('a page that the browser keeps is concealed when it is left', () => {
  say('pagehide');
  assert.equal(isConcealed(), true);
  assert.equal(dialog.isOpen, false);
  assert.equal(secret.value, '');
});

test('it is shown again after the check, and not before', async () => {
  say('pageshow');
  await settle();
  assert.equal(isConcealed(), true);
  assert.equal(secret.value, '');
  checks[0]();
  await settle();
  assert.equal(isConcealed(), false);
});

test('of two restorations the last one shows the page', async () => {
  say('pageshow');
  say('pagehide');
  say('pageshow');
  checks[0]();
  await settle();
  assert.equal(isConcealed(), true);
  checks[1]();
  await settle();
  assert.equal(isConcealed(), false);
});

test('a page that is loaded anew is neither concealed nor checked', async () => {
  say('pagehide', false);
  say('pageshow', false);
  await settle();
  assert.equal(isConcealed(), false);
  assert.equal(checks.length, 0);
});
