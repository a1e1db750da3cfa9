// The scanner among the keys.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import {Scanner, tagOf} from '../../occupancy/static/js/keys.js';

/** Types keys with a gap between them; answers what was scanned, and the last event. */
function type(text, gapMs, {field, end = 'Enter', fields = {}} = {}) {
  const scans = [];
  const scanner = new Scanner((scanned) => scans.push(scanned));
  let nowMs = 1000;
  let event;
  for (const key of [...text, end]) {
    nowMs += gapMs;
    event = {key, timeStamp: nowMs, target: field, isStopped: false, ...fields,
      preventDefault() { this.isStopped = true; }, stopPropagation() {}};
    scanner.take(event);
  }
  return {scans, event, scanner};
}

test('fast keys and Enter are a scan, and Enter does nothing else', () => {
  const {scans, event} = type('MK-1335', 8);
  assert.deepEqual(scans, ['MK-1335']);
  assert.ok(event.isStopped);
});

test('slow keys are none, nor are few, nor is an Enter that comes later', () => {
  assert.deepEqual(type('MK-1335', 60).scans, []);
  assert.deepEqual(type('ab', 8).scans, []);
  const {scanner} = type('MK-1335', 8, {end: 'Shift'});
  assert.equal(scanner.take({key: 'Enter', timeStamp: 9000}), false);
});

/** A scanner and a function that presses a key at a moment. */
function presser(scans) {
  const scanner = new Scanner((scanned) => scans.push(scanned));
  return (key, timeStamp) => scanner.take({key, timeStamp, preventDefault() {}, stopPropagation() {}});
}

test('modifier keys belong to a scan, shortcuts do not', () => {
  const scans = [];
  const press = presser(scans);
  ['Shift', 'A', 'b', 'Shift', 'C', '1', 'Enter'].forEach((key, index) => press(key, 1000 + 5 * index));
  assert.deepEqual(scans, ['AbC1']);
  assert.deepEqual(type('abcd', 8, {fields: {ctrlKey: true}}).scans, []);
});

test('a key typed by hand just before is no part of it', () => {
  const scans = [];
  const press = presser(scans);
  press('x', 1000);
  [...'T-100', 'Enter'].forEach((key, index) => press(key, 1200 + 5 * index));
  assert.deepEqual(scans, ['T-100']);
});

test('what has landed in a field is taken out again, and what stood there stays', () => {
  const heard = [];
  const field = {value: 'pump T-100', dispatchEvent: (event) => heard.push(event.type)};
  type('T-100', 5, {field});
  assert.equal(field.value, 'pump ');
  assert.deepEqual(heard, ['input']);
});

test('isTyping says that shortcuts must wait', () => {
  const scanner = new Scanner(() => {});
  scanner.take({key: 't', timeStamp: 1000});
  assert.equal(scanner.isTyping, false);
  scanner.take({key: '-', timeStamp: 1010});
  assert.equal(scanner.isTyping, true);
});

test('a tag is what was scanned, or the end of an address', () => {
  assert.equal(tagOf('T-1'), 'T-1');
  assert.equal(tagOf(' T-1 '), 'T-1');
  assert.equal(tagOf('https://host.example/boards/main/items/T-1'), 'T-1');
  assert.equal(tagOf('https://host.example/boards/main/items/A%3AB?x=1#y'), 'A:B');
});

test('a scan that is no address decodes to itself, whatever is in it', () => {
  assert.equal(tagOf('50%'), '50%');
});
