// Ids and names of people: which are allowed, and the id that a name suggests. Pure.

import {fold} from './fold.js';

const ID = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;
const MOST_ID_CHARS = 40; // of a proposal
const MOST_NAME_CHARS = 100;
// Characters that nobody sees, and those that show a text in another order than it is written.
const UNSEEN = /[\p{C}\p{Z}\p{M}\u115f\u1160\u2800\u3164\uffa0]/gu;
const REFUSED = /[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]/u;

/**
 * 'Marta Ruiz Peña' → 'marta.ruiz.pena'; with a number behind it if `isTaken` says that it is. `fallback` stands
 * for a name without any letter that an id can have.
 */
export function proposedPersonId(name, isTaken = () => false, fallback = '') {
  const plain = fold(name).replace(/[^a-z0-9]+/g, '.').slice(0, MOST_ID_CHARS).replace(/^\.+|\.+$/g, '')
    || fallback;
  if (!plain) return '';
  for (let number = 1; ; number += 1) {
    const id = number === 1 ? plain : `${plain}${number}`;
    if (!isTaken(id)) return id;
  }
}

export function isPersonId(text) {
  return ID.test(text);
}

export function isPersonName(text) {
  return [...text].length <= MOST_NAME_CHARS && text.replace(UNSEEN, '') !== '' && !REFUSED.test(text);
}
