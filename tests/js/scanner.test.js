// A barcode scanner's keys at every speed and with every suffix.

import assert from 'node:assert/strict';
import {afterEach, beforeEach, mock, test} from 'node:test';

import {readLabel} from '../../occupancy/web/ui/static/js/label.js';
import {QUIET_MS, Scanner} from '../../occupancy/web/ui/static/js/scanner.js';

const SPEEDS = [5, 12, 34, 36, 44, 59, 60, 80, 100, 125, 150]; // ms from key to key
const SUFFIXES = [[], ['Enter'], ['Tab'], ['Enter', 'Enter'], ['Shift', 'Enter']];
const PREFIXES = ['', ']C1', ']Q1', ']E0', ']d2', ']A0'];
const ADDRESS = 'http://host.example/boards/main/items/MK-1335-t';
const KNOWN = new Set(['MK-1335-t', 'T-100', 'a', '42', '2580']);
const PAGE = {tagName: 'BODY'};

let nowMs;
let heard; // what the scanner told, in order

beforeEach(() => {
  mock.timers.enable({apis: ['setTimeout']});
  nowMs = 10_000;
  heard = [];
});
afterEach(() => mock.timers.reset());

function newScanner() {
  return new Scanner({
    read: (burst) => readLabel(burst, (tag) => (KNOWN.has(tag) ? tag : null)),
    onScan: (label) => heard.push(`scan ${label.tag ?? label.kind}`),
    onHeld: () => heard.push('held'),
    onLone: (event) => heard.push(`lone ${event.key}`),
  }, {now: () => nowMs});
}

function pass(ms) {
  for (let left = ms; left > 0; left -= 1) {
    nowMs += 1;
    mock.timers.tick(1);
  }
}

/** A field in which keys land, as a browser has it. */
function newField(kind, value = '') {
  const events = [];
  return {tagName: 'INPUT', type: kind, value, selectionStart: value.length, selectionEnd: value.length, events,
    setSelectionRange() {}, dispatchEvent: (event) => events.push(event.type)};
}

/** Presses a key and lets it go; answers whether it was left to the page. */
function press(scanner, key, {target = PAGE, ...more} = {}) {
  let isPrevented = false;
  const event = {key, code: '', timeStamp: nowMs, target, shiftKey: false, ...more,
    preventDefault() { isPrevented = true; }, stopPropagation() {}};
  const isTaken = scanner.press(event);
  if (!isPrevented && target !== PAGE && key.length === 1) target.value += key;
  if (!isPrevented && !isTaken && ['Enter', 'Tab'].includes(key)) heard.push(key);
  return !isTaken;
}

function type(scanner, keys, gapMs, options) {
  for (const key of keys) {
    press(scanner, key, options);
    pass(gapMs);
  }
}

/** A scan after silence and before silence; answers what was heard. */
function scan(keys, gapMs, options) {
  heard = [];
  pass(2000);
  type(newScanner(), keys, gapMs, options);
  pass(2000);
  return heard;
}

test('outside of fields every scan is one scan and nothing else, whatever its speed, prefix and suffix', () => {
  for (const gapMs of SPEEDS) {
    for (const suffix of SUFFIXES) {
      for (const prefix of PREFIXES) {
        for (const text of ['MK-1335-t', ADDRESS, 'T-100', 'unknown-p', '42']) {
          const told = scan([...prefix, ...text, ...suffix], gapMs);
          const tag = text === ADDRESS ? 'MK-1335-t' : text;
          assert.deepEqual(told, [`scan ${tag}`], `${gapMs} ms, ${prefix}${text} and ${suffix}`);
        }
      }
    }
  }
});

test('a tag of one character is a scan by its suffix', () => {
  for (const suffix of [['Enter'], ['Tab']]) assert.deepEqual(scan(['a', ...suffix], 60), ['scan a']);
  assert.deepEqual(scan(['a'], 60), ['lone a']); // what it is, the page decides
});

test('a letter is a shortcut with silence before and after it only', () => {
  assert.deepEqual(scan(['t'], 0), ['lone t']);
  assert.deepEqual(scan(['t', 'p'], QUIET_MS + 20), ['lone t', 'lone p']);
  assert.deepEqual(scan(['t', 'p'], QUIET_MS - 20), ['scan tp']);
  assert.deepEqual(scan(['Shift', 't'], 100), []);
});

test('a letter held down is nothing', () => {
  const scanner = newScanner();
  press(scanner, 't');
  for (let time = 0; time < 20; time += 1) {
    pass(30);
    press(scanner, 't', {repeat: true});
  }
  pass(1000);
  assert.deepEqual(heard, []);
});

test('a key that is released late keeps a shortcut waiting', () => {
  const scanner = newScanner();
  press(scanner, 't');
  pass(150);
  scanner.release({key: 't', timeStamp: nowMs});
  pass(150);
  press(scanner, '1');
  pass(1000);
  assert.deepEqual(heard, ['scan t1']);
});

test('when the page was busy, keys count by when they were pressed', () => {
  const scanner = newScanner();
  press(scanner, 't');
  nowMs += 1000; // drawing, while '-' and '1' were pressed in time
  mock.timers.tick(QUIET_MS);
  assert.deepEqual(heard, []);
  press(scanner, '-', {timeStamp: nowMs - 940});
  press(scanner, '1', {timeStamp: nowMs - 880});
  pass(2000);
  assert.deepEqual(heard, ['scan t-1']);
});

test('keys that come late go on with the scan that silence seemed to end', () => {
  for (const suffix of [[], ['Enter']]) {
    const scanner = newScanner();
    const field = newField('search', 'pump ');
    const keys = [...ADDRESS, ...suffix];
    const beganMs = nowMs;
    keys.forEach((key, index) => {
      if (index === 9) pass(900); // the radio, or a device with too much to do
      press(scanner, key, {target: field, timeStamp: beganMs + 60 * index});
    });
    pass(2000);
    assert.equal(heard.at(-1), 'scan MK-1335-t', String(suffix));
    assert.equal(field.value, 'pump ');
    assert.ok(!heard.includes('Enter'));
    heard = [];
  }
});

test('a letter that came late waits longer: the next key may come late too', () => {
  const scanner = newScanner();
  press(scanner, 't', {timeStamp: nowMs - 300});
  pass(350);
  press(scanner, '1', {timeStamp: nowMs - 590});
  pass(2000);
  assert.deepEqual(heard, ['scan t1']);
});

test('after a scan nothing that comes late acts', () => {
  const scanner = newScanner();
  type(scanner, 'T-100', 60);
  pass(300);
  for (const key of ['Enter', 't']) {
    press(scanner, key);
    pass(250);
  }
  assert.deepEqual(heard, ['scan T-100']);
  pass(1000);
  press(scanner, 't');
  pass(300);
  press(scanner, 'Enter');
  assert.deepEqual(heard, ['scan T-100', 'lone t', 'Enter']);
});

test('an Enter held down after a scan does not act either', () => {
  const scanner = newScanner();
  type(scanner, [...'T-100', 'Enter'], 20);
  for (let time = 0; time < 60; time += 1) {
    press(scanner, 'Enter', {repeat: true});
    pass(30);
  }
  assert.deepEqual(heard, ['scan T-100']);
});

test('an address in any field is a scan, and the field is as it was before', () => {
  for (const kind of ['search', 'text', 'password']) {
    for (const gapMs of SPEEDS) {
      for (const suffix of SUFFIXES) {
        const field = newField(kind, 'pump ');
        assert.deepEqual(scan([...ADDRESS, ...suffix], gapMs, {target: field}), ['scan MK-1335-t']);
        assert.equal(field.value, 'pump ');
        assert.deepEqual(field.events, ['input']);
      }
    }
  }
});

test('the tag of an item in the search is a scan', () => {
  for (const gapMs of SPEEDS) {
    for (const suffix of SUFFIXES) {
      const field = newField('search', 'pump ');
      assert.deepEqual(scan([...'MK-1335-t', ...suffix], gapMs, {target: field}), ['scan MK-1335-t']);
      assert.equal(field.value, 'pump ');
    }
  }
});

test('what a scanner writes into a reason or a PIN is never sent by its Enter', () => {
  for (const kind of ['text', 'password']) {
    for (const gapMs of SPEEDS) {
      for (const text of ['MK-1335-t', 'T-100', 'unknown-p', ']C1unknown-p']) {
        const told = scan([...text, 'Enter'], gapMs, {target: newField(kind)});
        assert.equal(told.length, 1);
        assert.match(told[0], /^(scan .*|held)$/, `${kind}, ${gapMs} ms, ${text}`);
      }
    }
  }
});

test('a scan into a reason without a suffix is held back from a late Enter', () => {
  const scanner = newScanner();
  const target = newField('text');
  type(scanner, 'unknown', 12, {target});
  pass(300);
  press(scanner, 'Enter', {target});
  assert.deepEqual(heard, []);
  pass(1000);
  press(scanner, 'Enter', {target});
  assert.deepEqual(heard, ['Enter']);
});

test('what people type into fields stays, and their Enter is theirs', () => {
  for (const [text, gapMs, kind] of [
    ['pump', 120, 'search'], ['No material', 90, 'text'], ['roto', 170, 'text'], ['93', 90, 'text'],
    ['2580', 60, 'password'], ['2580', 140, 'password'], ['correct horse battery', 90, 'password'],
  ]) {
    const field = newField(kind);
    assert.deepEqual(scan([...text, 'Enter'], gapMs, {target: field}), ['Enter'], text);
    assert.equal(field.value, text);
  }
});

test('a fast person is asked to send a single word by the button', () => {
  const field = newField('text');
  assert.deepEqual(scan([...'averia', 'Enter'], 100, {target: field}), ['held']);
  assert.equal(field.value, 'averia');
});

test('keys in the middle of a scan scroll, choose and find nothing', () => {
  const scanner = newScanner();
  assert.equal(press(scanner, 'a', {target: {tagName: 'SELECT'}}), true);
  pass(50);
  for (const key of [' ', '/', 'p']) assert.equal(press(scanner, key), false, key);
});

test('shortcuts of the system and arrows end a burst', () => {
  assert.deepEqual(scan(['a', 'ArrowDown', 'b', 'ArrowDown'], 20), []);
  heard = [];
  const scanner = newScanner();
  type(scanner, 'abcd', 20, {ctrlKey: true});
  pass(1000);
  assert.deepEqual(heard, []);
});

/** The keys of a US scanner on a Spanish keyboard: [key, code, shiftKey]. */
function onSpanish(text) {
  const moved = {':': ['Ñ', 'Semicolon', true], '/': ['-', 'Slash', false], '-': ['\'', 'Minus', false]};
  return [...text].map((sign) => moved[sign]
    ?? (/\d/.test(sign) ? [sign, `Digit${sign}`, false]
      : sign === '.' ? ['.', 'Period', false] : [sign, `Key${sign.toUpperCase()}`, sign !== sign.toLowerCase()]));
}

test('a US scanner on a Spanish keyboard is understood, also where keys have no places', () => {
  for (const hasPlaces of [true, false]) {
    for (const text of [ADDRESS, 'MK-1335-t']) {
      heard = [];
      pass(2000);
      const scanner = newScanner();
      for (const [key, code, shiftKey] of onSpanish(text)) {
        press(scanner, key, {code: hasPlaces ? code : '', shiftKey});
        pass(60);
      }
      pass(300);
      assert.deepEqual(heard, ['scan MK-1335-t']);
    }
  }
});

test('at a paired station a scan that ends with Enter never stays in a PIN field', () => {
  const read = (burst) => ({...readLabel(burst, () => null), isBadgeLikely: true});
  for (const text of ['2580', '0012345678', '04A2B3C4', 'unknown-p']) {
    for (const gapMs of SPEEDS.filter((each) => each < 100)) {
      heard = [];
      pass(2000);
      const field = newField('password', 'x');
      const scanner = new Scanner({read, onScan: () => heard.push('scan'), onHeld: () => heard.push('held')},
        {now: () => nowMs});
      type(scanner, [...text, 'Enter'], gapMs, {target: field});
      pass(2000);
      assert.deepEqual(heard, ['scan'], `${text}, ${gapMs} ms`);
      assert.equal(field.value, 'x');
      assert.deepEqual(field.events, ['input']);
    }
  }
});

test('at a paired station a PIN at a person’s speed is a PIN', () => {
  const read = (burst) => ({...readLabel(burst, () => null), isBadgeLikely: true});
  for (const [keys, gapMs] of [[[...'2580', 'Enter'], 120], [[...'258013', 'Enter'], 150], [[...'2580'], 90]]) {
    heard = [];
    pass(2000);
    const field = newField('password');
    const scanner = new Scanner({read, onScan: () => heard.push('scan'), onHeld: () => heard.push('held')},
      {now: () => nowMs});
    type(scanner, keys, gapMs, {target: field});
    pass(2000);
    assert.ok(!heard.includes('scan'), `${keys.length} keys, ${gapMs} ms`);
    assert.equal(field.value, keys.filter((key) => key !== 'Enter').join(''));
  }
});

test('with Caps Lock a scan is understood', () => {
  assert.deepEqual(scan([...'mk-1335-T', 'Enter'], 60), ['scan MK-1335-t']);
});
