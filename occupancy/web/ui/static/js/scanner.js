// The scanner: tells the keys of a barcode scanner from those of a person, whatever has the focus.
//
// To the page a scanner is a keyboard. Wedge scanners leave less than 35 ms between two keys,
// Bluetooth ones 44 to 100 ms; a person can be as fast as the latter. A scan ends with Enter, Tab
// or nothing. The rules use the time when a key was pressed, not when the page handled it:
//
//  1. Keys with less than 200 ms between them are one burst; modifiers and releases count as keys.
//     It ends with Enter or Tab, with 200 ms of silence, or at any other key. A key that was pressed
//     in time and arrives late, because the device was busy, belongs to its burst.
//  2. A burst of one key, with silence before and after it, is a person's: `onLone`. No other letter
//     is ever a shortcut, so no shortcut acts while more keys may follow.
//  3. Outside of text fields any other burst is a scan. Its Enter or Tab does nothing else.
//  4. In a text field it is a scan if it reads as an item's address or has an AIM prefix; if it is
//     the tag of an item of this board; or if only a machine types so fast. Its text is removed from
//     the field.
//  5. In a form (a reason, a worker, a PIN) ambiguous text stays in place, but an Enter that ends it
//     does not send the form: `onHeld` reports that. Digits in a PIN field at a person's speed are a
//     PIN.
//  6. For 700 ms after a scan Enter, Tab and lone keys do nothing: over a radio link a suffix may
//     arrive late or twice.
//
//  7. At a paired station badges are scanned, mostly digits as a PIN. There a burst that ends with Enter in
//     a PIN field is a scan, unless its keys are as slow as a person's.
//
// A tag of one character without a suffix looks like that key pressed by hand. It counts as a scan if
// the board has such an item.

export const QUIET_MS = 200;
const MACHINE_MS = 35; // no person types four keys in a row so fast
const SCANNER_MS = 160; // no scanner is slower
const BADGE_MS = 100; // wedge and most radio scanners are faster, people with a PIN rarely
const LEAST_KEYS = 4; // fewer may be so fast by chance
const AFTER_MS = 700;
const LATE_MS = 50; // a timer that fires later shows that the page was busy
const MOST_LATE_MS = 1000;

/** No tag, address or prefix begins with these, so as shortcuts they need not wait for silence. */
export const BEGIN_NO_SCAN = new Set(['/', ' ']);

const MODIFIERS = new Set(['Shift', 'CapsLock', 'AltGraph', 'Control', 'Alt', 'Meta', 'NumLock']);

export class Scanner {
  /**
   * `read(burst)` returns the label (label.js) of {text, physical}; `onScan(label)` gets a scan,
   * `onHeld()` is called by rule 5, and `onLone(event, label)` by rule 2.
   */
  constructor({read, onScan, onHeld = () => {}, onLone = () => {}}, {
    now = () => performance.now(),
  } = {}) {
    this.hooks = {read, onScan, onHeld, onLone};
    this.now = now;
    this.burst = null;
    this.ended = null; // the last burst, if only silence has ended it
    this.lastMs = -Infinity; // the last key of any burst
    this.scanMs = -Infinity; // the last key of the last scan
    this.isSwallowing = false; // whether the Enter or Tab that is held down ended a scan
  }

  /** Takes a keydown; returns whether the page must ignore it. */
  press(event) {
    const atMs = event.timeStamp;
    const isInTime = atMs >= this.lastMs && atMs - this.lastMs < QUIET_MS;
    if (this.burst && atMs - this.lastMs >= QUIET_MS) this.#end();
    if (isInTime) this.burst ??= this.ended;
    this.ended = null;
    if (MODIFIERS.has(event.key)) {
      this.#go(atMs, event);
      this.burst.hasModifier = true;
      return false;
    }
    if (event.key === 'Enter' || event.key === 'Tab') return this.#suffix(event, atMs);
    const isCharacter = event.key.length === 1 || event.key === 'Dead';
    // AltGr is Ctrl and Alt together on some systems.
    const isCommand = (event.ctrlKey || event.altKey || event.metaKey) && !event.getModifierState?.('AltGraph');
    if (!isCharacter || isCommand) {
      if (event.key !== 'Unidentified' && event.key !== 'Process') this.#drop();
      return false;
    }
    const isFirst = !this.burst || this.burst.keys.length === 0;
    const isAfterScan = atMs - this.scanMs < AFTER_MS;
    if (isFirst && BEGIN_NO_SCAN.has(event.key) && placeOf(event.target) === 'page') return isAfterScan;
    this.#go(atMs, event);
    if (event.repeat) this.burst.isHeldDown = true;
    else this.burst.add(event, atMs);
    if (placeOf(event.target) !== 'page') return false;
    // Nothing scrolls, is chosen by its first letter or found by the browser meanwhile.
    event.preventDefault();
    return !isFirst || isAfterScan;
  }

  release(event) {
    if (event.key === 'Enter' || event.key === 'Tab') this.isSwallowing = false;
    if (!this.burst) return;
    this.lastMs = event.timeStamp;
    this.#wait();
  }

  #go(atMs, event) {
    this.burst ??= new Burst();
    this.burst.event = event;
    this.lastMs = atMs;
    this.#wait();
  }

  #drop() {
    clearTimeout(this.timer);
    this.burst = null;
  }

  #wait() {
    clearTimeout(this.timer);
    // Where this key came late the next may too.
    const quietMs = QUIET_MS + Math.min(Math.max(this.now() - this.lastMs, 0), MOST_LATE_MS);
    const dueMs = this.now() + quietMs;
    this.timer = setTimeout(() => {
      // The page was busy: keys that were pressed meanwhile may still be on their way to us.
      if (this.now() - dueMs > LATE_MS) this.#wait();
      else this.#end();
    }, quietMs);
  }

  #suffix(event, atMs) {
    const {burst} = this;
    const hasKeys = burst !== null && burst.keys.length > 0;
    this.#drop();
    let isOurs = (event.repeat && this.isSwallowing) || (!hasKeys && atMs - this.scanMs < AFTER_MS);
    if (hasKeys) {
      burst.see(atMs);
      isOurs = this.#decide(burst, true) || placeOf(event.target) === 'page';
    }
    if (!isOurs) return false;
    this.lastMs = atMs;
    if (atMs - this.scanMs < AFTER_MS || hasKeys) this.scanMs = atMs;
    this.isSwallowing = true;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  /** Silence has ended a burst. */
  #end() {
    const {burst} = this;
    this.#drop();
    this.ended = burst;
    if (burst.keys.length === 0 || burst.isHeldDown) return;
    if (burst.keys.length > 1 || placeOf(burst.event.target) !== 'page') {
      this.#decide(burst, false);
    } else if (this.lastMs - this.scanMs >= AFTER_MS) {
      const label = this.hooks.read(burst);
      if (!burst.hasModifier || label.isKnown) this.hooks.onLone(burst.event, label);
    }
  }

  /** Acts on a burst by rules 3 to 5; returns whether its suffix is used up. */
  #decide(burst, hasSuffix) {
    const label = this.hooks.read(burst);
    const verdict = burst.isHeldDown ? 'person' : judge(burst, {
      label, hasSuffix, place: placeOf(burst.event.target),
    });
    if (verdict === 'person') return false;
    this.scanMs = this.lastMs;
    if (verdict === 'scan') {
      burst.takeOut();
      this.hooks.onScan(label);
    } else if (hasSuffix) {
      this.hooks.onHeld();
    }
    return true;
  }
}

/** What a burst is: 'scan', 'person', or 'held' if it is ambiguous. */
export function judge({keys, text, maxGapMs}, {label, hasSuffix, place}) {
  const isLong = keys.length >= LEAST_KEYS;
  const isMachine = isLong && maxGapMs < MACHINE_MS;
  if (place === 'page') return keys.length > 1 || hasSuffix ? 'scan' : 'person';
  if (label.kind === 'item' || (label.hasPrefix && isLong)) return 'scan';
  if (place === 'search') {
    if (isMachine) return 'scan';
    return label.isKnown && (hasSuffix || (isLong && maxGapMs <= SCANNER_MS)) ? 'scan' : 'person';
  }
  // The badge would be sent as a wrong PIN, and shown as one that was typed.
  if (place === 'secret' && label.isBadgeLikely && hasSuffix && isLong && maxGapMs < BADGE_MS) return 'scan';
  const mayBePin = place === 'secret' && /^\d{4,12}$/.test(text);
  if (!isLong || maxGapMs > SCANNER_MS || (mayBePin && !isMachine)) return 'person';
  if (label.isKnown) return 'scan';
  return isMachine || !/\s/.test(text) ? 'held' : 'person';
}

/** Keys that came in a row. */
class Burst {
  constructor() {
    this.keys = [];
    this.text = ''; // by this device's keyboard layout
    this.physical = ''; // by the layout of a US keyboard, as scanners are set; null: not known
    this.maxGapMs = 0;
    this.hasModifier = false;
    this.isHeldDown = false;
    this.event = null; // the last one
    this.fields = new Map(); // text field → what it was before
  }

  add(event, atMs) {
    this.see(atMs);
    this.keys.push(event.key);
    if (event.key !== 'Dead') this.text += event.key;
    const plain = US[event.code];
    this.physical = this.physical === null || !plain ? null : this.physical + plain[event.shiftKey ? 1 : 0];
    const field = event.target;
    if (placeOf(field) === 'page' || this.fields.has(field)) return;
    const {value, selectionStart, selectionEnd} = field;
    this.fields.set(field, {value, selectionStart, selectionEnd});
  }

  see(atMs) {
    if (this.seenMs !== undefined) this.maxGapMs = Math.max(this.maxGapMs, atMs - this.seenMs);
    this.seenMs = atMs;
  }

  takeOut() {
    for (const [field, {value, selectionStart, selectionEnd}] of this.fields) {
      if (field.value === value) continue;
      field.value = value;
      field.setSelectionRange?.(selectionStart, selectionEnd);
      field.dispatchEvent(new Event('input', {bubbles: true}));
    }
  }
}

const TEXT_TYPES = new Set(['text', 'search', 'password', 'email', 'url', 'tel']);

/** Where a key goes: into a text field ('secret', 'form' or 'search'), or to the 'page'. */
export function placeOf(target) {
  const isText = target?.tagName === 'TEXTAREA' || (target?.tagName === 'INPUT' && TEXT_TYPES.has(target.type));
  if (!isText) return 'page';
  if (target.type === 'password') return 'secret';
  return target.type === 'search' ? 'search' : 'form';
}

/** What the keys of a US keyboard write, without and with Shift. */
const US = Object.fromEntries([
  ...[...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'].map((letter) => [`Key${letter}`, [letter.toLowerCase(), letter]]),
  ...[...')!@#$%^&*('].map((shifted, digit) => [`Digit${digit}`, [String(digit), shifted]]),
  ...[...'0123456789'].map((digit) => [`Numpad${digit}`, [digit, digit]]),
  ...Object.entries({
    Minus: '-_', Equal: '=+', BracketLeft: '[{', BracketRight: ']}', Backslash: '\\|', Semicolon: ';:',
    Quote: '\'"', Backquote: '`~', Comma: ',<', Period: '.>', Slash: '/?', Space: '  ',
    NumpadSubtract: '--', NumpadAdd: '++', NumpadDecimal: '..', NumpadDivide: '//', NumpadMultiply: '**',
  }),
]);
