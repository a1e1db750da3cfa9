// New secrets for cards and slips.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import {isObvious, newBadgeCode, newPin} from '../../occupancy/web/ui/static/js/card_codes.js';

test('a badge has at least 80 random bits, of letters whose key is the same on all layouts', () => {
  const codes = new Set(Array.from({length: 2000}, newBadgeCode));
  assert.equal(codes.size, 2000);
  for (const code of codes) assert.match(code, /^OCC[BCDEFGHIJKLNOPRSTUVX]{20}$/);
  assert.ok(20 * Math.log2(20) >= 80);
});

test('every letter comes, and none much more often', () => {
  const counts = new Map();
  for (let at = 0; at < 2000; at += 1) {
    for (const letter of newBadgeCode().slice(3)) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  }
  assert.equal(counts.size, 20);
  for (const count of counts.values()) assert.ok(count > 1700 && count < 2300, String(count));
});

test('a PIN is one that the server accepts', () => {
  for (let at = 0; at < 5000; at += 1) {
    const pin = newPin('4711');
    assert.match(pin, /^\d{4}$/);
    assert.ok(!isObvious(pin) && pin !== '4711');
  }
  for (const pin of ['1111', '1212', '1234', '9876', '7890', '3210']) assert.ok(isObvious(pin), pin);
  for (const pin of ['2580', '4711', '1213']) assert.ok(!isObvious(pin), pin);
});
