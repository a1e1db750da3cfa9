// The rules for texts that people read, as the server has them (core/accepted_values.py).

// Letters and symbols that look blank.
const BLANK = /[\u115f\u1160\u2065\u2800\u3164\uffa0\ufff0-\ufff8\u{e0000}-\u{e0fff}]/gu;
// A mark shows only on a base character.
const SEEN = /[^\p{Cc}\p{Cf}\p{Cs}\p{Mn}\p{Me}\p{Z}]/u;
// Control characters, halves of characters, and what shows a text in another order than it is written.
const REFUSED = /[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]/u;

/** What is wrong with a text: 'character', 'blank', or null. */
export function textProblem(text) {
  if (REFUSED.test(text)) return 'character';
  return SEEN.test(text.replace(BLANK, '')) ? null : 'blank';
}
