import assert from 'node:assert/strict';
import test from 'node:test';

import {idFrom} from '../../occupancy/web/ui/static/js/ids.js';

const none = new Set();

test('an id is like the name, in plain letters and digits', () => {
  assert.equal(idFrom('Línea 2 · Ñandú', none, 'board'), 'linea-2-nandu');
  assert.equal(idFrom('  --ERP--  ', none, 'program'), 'erp');
});

test('a name without such letters gets the fallback', () => {
  assert.equal(idFrom('中文', none, 'board'), 'board');
  assert.equal(idFrom('中文', new Set(['board']), 'board'), 'board-2');
});

test('an id is never one that is taken, nor longer than is allowed', () => {
  assert.equal(idFrom('Hall', new Set(['hall', 'hall-2']), 'board'), 'hall-3');
  const long = idFrom('x'.repeat(80), none, 'board');
  assert.equal(long.length, 32);
  const other = idFrom('x'.repeat(80), new Set([long]), 'board');
  assert.equal(other.length, 32);
  assert.notEqual(other, long);
  assert.match(idFrom(`${'x'.repeat(31)} y`, none, 'board'), /^x{31}$/);
});

test('no board can be named access', () => {
  assert.equal(idFrom('Access', none, 'board'), 'access-2');
});
