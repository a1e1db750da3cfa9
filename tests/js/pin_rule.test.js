// Which PINs are allowed: the server's rule, and what the page says of the others.

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {after, test} from 'node:test';

import {pinProblem, randomPin} from '../../occupancy/web/ui/static/js/pin_rule.js';
import {install} from './fakes.js';

const PINS = JSON.parse(readFileSync(new URL('pins.json', import.meta.url), 'utf-8'));
const restore = install({
  document: {documentElement: {lang: 'en'}, querySelectorAll: () => [{href: '/catalog'}]},
  navigator: {languages: ['en']},
  fetch: async () => Response.json({}),
});
const {whyNoPin} = await import('../../occupancy/web/ui/static/js/pin_field.js');
after(restore);

test('the page allows the PINs that the server allows', () => {
  for (const {pin, worker = '', allowed} of PINS) {
    assert.equal(pinProblem(pin, worker) === null, allowed, JSON.stringify(pin));
    assert.equal(whyNoPin(pin, worker) === null, allowed, JSON.stringify(pin));
  }
});

test('what is too short or too long is told from what others would try first', () => {
  for (const pin of ['', '258', '1'.repeat(13), 'abcdefg', '2580a', 'x'.repeat(201)]) {
    assert.equal(pinProblem(pin), 'length', JSON.stringify(pin));
    assert.equal(whyNoPin(pin, '93'), 'pin.refused');
  }
  for (const pin of ['0000', '1234', '9876', '123123', 'abcdabcd', '93937']) {
    assert.equal(pinProblem(pin, '93937'), 'obvious', JSON.stringify(pin));
    assert.equal(whyNoPin(pin, '93937'), 'pin.obvious');
  }
});

test('only part of a row of digits is obvious: another order is not', () => {
  for (const pin of ['1235', '4312', '0198273', '45670']) assert.equal(pinProblem(pin), null, pin);
});

test('letters count as they are seen, however they were typed', () => {
  assert.equal(pinProblem('contrasen\u0303'), null, 'nine letters');
  assert.equal(pinProblem('sen\u0303orit'), 'length', 'seven letters, of eight signs');
  assert.equal(pinProblem('🔧🔨🪛🔩'), 'length', 'four signs, of eight units');
});

test('a suggested PIN is six digits that are allowed, and not the id of its worker', () => {
  for (let i = 0; i < 500; i += 1) {
    const pin = randomPin();
    assert.match(pin, /^\d{6}$/);
    assert.equal(pinProblem(pin), null);
  }
});

test('a suggested PIN is drawn again while it is not allowed', () => {
  const drawn = [4_294_111_111, 123_456, 777_777, 40_005, 805_813];
  const undo = install({crypto: {getRandomValues(values) {
    values[0] = drawn.shift();
    return values;
  }}});
  assert.equal(randomPin('040005'), '805813');
  undo();
});
