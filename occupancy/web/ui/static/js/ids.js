// Ids that a page makes from what somebody typed: of boards and of workers.

const LONGEST = 32; // what both may have

/** An id like `name` in plain letters and digits, or `fallback`; another one if it is in `taken`. */
export function idFrom(name, taken, fallback) {
  const plain = name.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase()
    .replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '').slice(0, LONGEST).replace(/-$/, '') || fallback;
  let id = plain;
  // 'access' is the one name that no board can have.
  for (let number = 2; taken.has(id) || id === 'access'; number += 1) {
    const end = `-${number}`;
    id = plain.slice(0, LONGEST - end.length) + end;
  }
  return id;
}
