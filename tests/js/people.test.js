// Ids that names suggest, and what an id and a name may be.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import {isId, isName, proposeId} from '../../occupancy/web/ui/static/js/person_id.js';

test('a name suggests an id without accents, which nobody has', () => {
  assert.equal(proposeId('Marta Ruiz Peña'), 'marta.ruiz.pena');
  assert.equal(proposeId('  José-María O’Neill, '), 'jose.maria.o.neill');
  assert.equal(proposeId('Marta', (id) => ['marta', 'marta2'].includes(id)), 'marta3');
  assert.equal(proposeId('王伟'), '');
  for (const name of ['"><script>', 'x'.repeat(300), '...a', 'Ñ']) assert.ok(isId(proposeId(name)), name);
});

test('an id has the signs that the server takes', () => {
  for (const id of ['93', 'a.b_c@d-e', 'x'.repeat(64)]) assert.ok(isId(id), id);
  for (const id of ['', '.a', 'a b', 'ñ', 'a/b', 'x'.repeat(65), 'a\n']) assert.ok(!isId(id), id);
});

test('a name can be seen', () => {
  for (const name of ['Ana', '王伟', 'x'.repeat(100), 'مريم']) assert.ok(isName(name), name);
  for (const name of ['', ' ', '\u200b', '\u2800', 'a\u202eb', 'a\nb', 'x'.repeat(101)]) {
    assert.ok(!isName(name), JSON.stringify(name));
  }
});
