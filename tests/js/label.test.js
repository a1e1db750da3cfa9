// The readings of a scanned text.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import {placeOfLabel, readLabel} from '../../occupancy/web/ui/static/js/label.js';

const ITEMS = ['MK-1335', 'A:B', 'x', 'T'.repeat(64)];
const find = (tag) => ITEMS.find((each) => each === tag)
  ?? ITEMS.find((each) => each.toLowerCase() === tag.toLowerCase()) ?? null;
const read = (text, physical = null) => readLabel({text, physical}, find);

test('a tag of any length that is allowed is one', () => {
  for (const tag of ITEMS) assert.deepEqual([read(tag).kind, read(tag).tag, read(tag).isKnown], ['tag', tag, true]);
  assert.deepEqual([read('Z').kind, read('Z').isKnown], ['tag', false]);
  assert.equal(read('T'.repeat(65)).kind, 'other');
  assert.equal(read(' MK-1335 ').tag, 'MK-1335');
});

test('prefixes of the AIM family are no part of it', () => {
  for (const prefix of [']C0', ']C1', ']Q1', ']Q3', ']E0', ']e0', ']d2', ']A0', ']L2', ']X0']) {
    assert.equal(read(`${prefix}MK-1335`).tag, 'MK-1335', prefix);
    assert.equal(read(`${prefix}https://h/boards/b/items/MK-1335`).kind, 'item', prefix);
  }
});

test('an address of an item says host, board and tag', () => {
  const label = read('https://host.example:8443/boards/north/items/A%3AB?x=1#y');
  assert.deepEqual([label.kind, label.host, label.board, label.tag], ['item', 'host.example:8443', 'north', 'A:B']);
});

test('capital and small letters are put right where an item tells how', () => {
  assert.equal(read('mk-1335').tag, 'MK-1335');
  const label = read('HTTPS://HOST.EXAMPLE/BOARDS/north/ITEMS/mk-1335');
  assert.deepEqual([label.host, label.tag], ['host.example', 'MK-1335']);
  const turned = read('HTTP://HOST/BOARDS/NORTH/ITEMS/mk-1335');
  assert.deepEqual([turned.host, turned.board, turned.tag], ['host', 'north', 'MK-1335']);
});

test('places of keys put a mangled text right, and nothing that makes sense is changed', () => {
  assert.equal(read('MKß1335', 'MK-1335').tag, 'MK-1335');
  assert.equal(read('MK\'1335').tag, 'MK-1335');
  assert.equal(read('httpÖ&&host&boards&main&items&MKß1335', 'http://host/boards/main/items/MK-1335').board, 'main');
  assert.equal(read('MK-1335', 'MK/1335').tag, 'MK-1335');
});

test('what is neither is said to be so', () => {
  assert.equal(read('http://host/sign-in#secret').kind, 'address');
  for (const text of ['50%', 'two words', '¿?', 'http://host/boards/../items/x']) {
    assert.notEqual(read(text).kind, 'item', text);
  }
  assert.equal(read('50%').kind, 'other');
});

test('host and board of a label count', () => {
  const here = {hosts: ['host', 'plant.example'], board: 'main'};
  assert.equal(placeOfLabel(read('MK-1335'), here), 'here');
  assert.equal(placeOfLabel(read('http://host/boards/main/items/x'), here), 'here');
  assert.equal(placeOfLabel(read('https://plant.example/boards/main/items/x'), here), 'here');
  assert.equal(placeOfLabel(read('http://host/boards/north/items/x'), here), 'board');
  assert.equal(placeOfLabel(read('http://host/boards/Main/items/x'), here), 'board');
  assert.equal(placeOfLabel(read('http://other/boards/main/items/x'), here), 'server');
  assert.equal(placeOfLabel(read('http://host/boards/main/items/x'), {...here, board: null}), 'board');
  assert.equal(placeOfLabel(read('50%'), here), 'none');
});
