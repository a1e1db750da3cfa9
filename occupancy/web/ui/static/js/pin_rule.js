// Which PINs are allowed: the rule of check_pin in access/pins.py. Pure.
//
// tests/js/pins.json holds both to the same cases.

const UP_AND_DOWN = ['01234567890123456789', '98765432109876543210'];
const MOST_CHARS = 200;

/** Why a PIN is not allowed: 'length' or 'obvious'; null if it is allowed. */
export function pinProblem(pin, workerId = '') {
  const plain = pin.replace(/\p{Zs}/gu, ' ').normalize('NFC');
  const length = [...plain].length;
  const isNumber = /^[0-9]+$/.test(plain);
  if (/[\p{Cc}\p{Cs}]/u.test(plain)) return 'length';
  if (isNumber ? length < 4 || length > 12 : length < 8 || length > MOST_CHARS) return 'length';
  // A text that occurs in its double elsewhere than at the two ends repeats a part of itself.
  const isRepeated = (plain + plain).slice(1, -1).includes(plain);
  if (isRepeated || plain === workerId || UP_AND_DOWN.some((each) => each.includes(plain))) return 'obvious';
  return null;
}

export function randomPin(workerId = '') {
  for (;;) {
    const [value] = crypto.getRandomValues(new Uint32Array(1));
    const pin = String(value % 1_000_000).padStart(6, '0');
    if (value < 4_294_000_000 && pinProblem(pin, workerId) === null) return pin;
  }
}
