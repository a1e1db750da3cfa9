// Ids that names suggest, and what an id and a name may be.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import {isPersonId, isPersonName, proposedPersonId} from '../../occupancy/web/ui/static/js/person_ids.js';

test('a name suggests an id without accents, which nobody has', () => {
  assert.equal(proposedPersonId('Marta Ruiz Peña'), 'marta.ruiz.pena');
  assert.equal(proposedPersonId('  José-María O’Neill, '), 'jose.maria.o.neill');
  assert.equal(proposedPersonId('Marta', (id) => ['marta', 'marta2'].includes(id)), 'marta3');
  assert.equal(proposedPersonId('王伟'), '');
  for (const name of ['"><script>', 'x'.repeat(300), '...a', 'Ñ']) assert.ok(isPersonId(proposedPersonId(name)), name);
});

test('an id has the signs that the server takes', () => {
  for (const id of ['93', 'a.b_c@d-e', 'x'.repeat(64)]) assert.ok(isPersonId(id), id);
  for (const id of ['', '.a', 'a b', 'ñ', 'a/b', 'x'.repeat(65), 'a\n']) assert.ok(!isPersonId(id), id);
});

test('a name can be seen', () => {
  for (const name of ['Ana', '王伟', 'x'.repeat(100), 'مريم']) assert.ok(isPersonName(name), name);
  for (const name of ['', ' ', '\u200b', '\u2800', 'a\u202eb', 'a\nb', 'x'.repeat(101)]) {
    assert.ok(!isPersonName(name), JSON.stringify(name));
  }
});
