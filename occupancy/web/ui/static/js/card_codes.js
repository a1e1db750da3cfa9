// New secrets for cards and slips. Pure, apart from the browser's random numbers.

// Letters with the same key on QWERTY, QWERTZ and AZERTY, so that a scanner that types for another
// layout still types the code. Digits would need Shift on AZERTY.
const LETTERS = 'BCDEFGHIJKLNOPRSTUVX';
const COUNT = 20; // of 20 letters: 86 bits
// Marks the code as a badge. A PIN is digits or a phrase, and no tag has these letters by chance.
const PREFIX = 'OCC';

/** The code of a new badge. */
export function newBadgeCode() {
  let code = PREFIX;
  while (code.length < PREFIX.length + COUNT) {
    const [byte] = crypto.getRandomValues(new Uint8Array(1));
    // 240 is a multiple of 20, so every letter is as likely.
    if (byte < 240) code += LETTERS[byte % LETTERS.length];
  }
  return code;
}

/** A new PIN of four digits that the server accepts for a worker (access/pins.py). */
export function newPin(workerId) {
  for (;;) {
    const [number] = crypto.getRandomValues(new Uint16Array(1));
    const pin = String(number % 10000).padStart(4, '0');
    if (number < 60000 && !isObvious(pin) && pin !== workerId) return pin;
  }
}

/** Whether a PIN repeats one part, or counts up or down. */
export function isObvious(pin) {
  if ((pin + pin).slice(1, -1).includes(pin)) return true;
  return ['01234567890123456789', '98765432109876543210'].some((row) => row.includes(pin));
}
