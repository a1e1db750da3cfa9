// Labels: the meaning of a scanned text. Pure.
//
// A label has an item's address (our printed codes) or only its tag. A scanner may distort the text: it
// adds an AIM prefix (']C1') for the kind of code, Caps Lock swaps the case, and a scanner set to a US
// keyboard writes 'httpÑ--host' on a Spanish one. So a text has several readings, and the first valid
// one counts: as received, by the keys' places on a US keyboard, with a Spanish layout undone, and each
// of these with the case swapped.

const TAG = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;
const BOARD = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/;
const AIM = /^\][A-Za-z][0-9A-Za-z]/;
const ADDRESS = /https?:\/\/([^/?#\s]+)\/boards\/([^/?#\s]+)\/items\/([^/?#\s]+)/;
const ADDRESS_IN_ANY_CASE = new RegExp(ADDRESS, 'i');

/** Characters that a Spanish layout writes for a US scanner → the scanner's character. */
const SPANISH = {'Ñ': ':', 'ñ': ';', '-': '/', '_': '?', '\'': '-', '?': '_', '+': ']', '*': '}', '=': ')',
  '/': '&', '&': '^', '(': '*', ')': '('};

/**
 * The label in a burst of keys: {kind, text, hasPrefix, isKnown}, with `tag` for the kind 'tag', and
 * `host`, `board` and `tag` for 'item'. 'address' is an address of no item, 'other' anything else.
 * `find(tag)` returns the tag of this board's item with that spelling, in any case, or null.
 */
export function readLabel({text, physical}, find = () => null) {
  const came = [text, physical, replaceSpanish(text)].filter((each) => each);
  const readings = [...new Set([...came, ...came.map(swapCase)])].map(withoutPrefix);
  const hasPrefix = readings.some((each) => each.hasPrefix);
  const labels = readings.map((each) => parse(each.text));
  const found = labels.find((each) => each.kind === 'item' && each.isExact)
    ?? labels.find((each) => each.kind === 'item')
    ?? labels.find((each) => each.kind === 'tag' && find(each.tag) !== null)
    ?? labels.find((each) => each.kind === 'tag')
    ?? labels.find((each) => each.kind === 'address')
    ?? labels[0] ?? {kind: 'other'};
  const known = found.tag === undefined ? null : find(found.tag);
  return {...found, text, hasPrefix, isKnown: known !== null, tag: known ?? found.tag};
}

function parse(text) {
  const exact = ADDRESS.exec(text);
  const address = exact ?? ADDRESS_IN_ANY_CASE.exec(text);
  if (address) {
    const [, host, board, tag] = [...address].map(decode);
    if (BOARD.test(board) && TAG.test(tag)) {
      return {kind: 'item', host: host.toLowerCase(), board, tag, isExact: exact !== null};
    }
  }
  if (TAG.test(text)) return {kind: 'tag', tag: text};
  return {kind: /^[a-z]+:[/]{2}/i.test(text) ? 'address' : 'other'};
}

function withoutPrefix(given) {
  const text = given.trim();
  return AIM.test(text) ? {text: text.slice(3), hasPrefix: true} : {text, hasPrefix: false};
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function replaceSpanish(text) {
  return [...text].map((sign) => SPANISH[sign] ?? sign).join('');
}

function swapCase(text) {
  return [...text].map((sign) => {
    const small = sign.toLowerCase();
    return sign === small ? sign.toUpperCase() : small;
  }).join('');
}

/**
 * The origin of a label: 'here', 'board' (another board), 'server' (another server), or 'none' if it
 * is not a label of an item. `hosts` are ours; `board` is null for a page without one.
 */
export function placeOfLabel(label, {hosts, board}) {
  if (label.kind === 'tag') return 'here';
  if (label.kind !== 'item') return 'none';
  if (!hosts.includes(label.host)) return 'server';
  const isSame = label.isExact ? label.board === board : label.board.toLowerCase() === board?.toLowerCase();
  return isSame ? 'here' : 'board';
}
