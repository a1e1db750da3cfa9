// The ids of boards and steps: their form, and a proposal made from a title.

const BOARD_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/;
const STEP_ID = /^[\p{L}\p{N}][\p{L}\p{N}_ .:/-]{0,31}$/u;
const MOST = 32;
export const RESERVED = 'access'; // a board's keys must not be those of people and tokens

export function isBoardId(text) {
  return BOARD_ID.test(text);
}

export function isStepId(text) {
  return STEP_ID.test(text);
}

/** 'Línea 2' as 'linea-2'; '' if nothing of the title can be used. */
export function proposedBoardId(title, taken) {
  const plain = withoutMarks(title).toLowerCase().replace(/[^a-z0-9]+/g, '-');
  return free(plain, taken);
}

/** 'Control final' as 'CONTROL-FINAL'; '' if nothing of the title can be used. */
export function proposedStepId(title, taken) {
  const plain = withoutMarks(title).toUpperCase().replace(/[^\p{L}\p{N}]+/gu, '-');
  return free(plain, taken);
}

// 'ñ' is a letter with a mark, and becomes 'n'.
function withoutMarks(text) {
  return text.normalize('NFD').replace(/\p{M}/gu, '').normalize('NFC');
}

function free(text, taken) {
  const cut = (length) => [...text.replace(/^-/, '')].slice(0, length).join('').replace(/-$/, '');
  let found = cut(MOST);
  for (let number = 2; found && taken.includes(found); number += 1) {
    found = `${cut(MOST - 1 - String(number).length)}-${number}`;
  }
  return found;
}
