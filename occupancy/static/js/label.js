// Labels: what a scanned text says. Pure.
//
// A label has an item's address (the codes that we print) or its tag alone. On the way from the
// scanner text may be spoiled: an AIM prefix (']C1') that tells the kind of code, letters turned
// over by Caps Lock, and signs of another keyboard layout: a scanner set to a US keyboard writes
// 'httpÑ--host' on a Spanish one. So a text has several readings, and the first that makes sense
// is taken: as it came, by the keys' places on a US keyboard, a Spanish layout undone, and each
// with small and capital letters exchanged.

const TAG = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;
const BOARD = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/;
const AIM = /^\][A-Za-z][0-9A-Za-z]/;
const ADDRESS = /https?:\/\/([^/?#\s]+)\/boards\/([^/?#\s]+)\/items\/([^/?#\s]+)/;
const ADDRESS_IN_ANY_CASE = new RegExp(ADDRESS, 'i');

/** What stands for US signs where a Spanish layout writes what a US scanner types. */
const SPANISH = {'Ñ': ':', 'ñ': ';', '-': '/', '_': '?', '\'': '-', '?': '_', '+': ']', '*': '}', '=': ')',
  '/': '&', '&': '^', '(': '*', ')': '('};

/**
 * The label that a burst of keys reads as: {kind, text, hasPrefix, isKnown} with `tag` where the
 * kind is 'tag', `host`, `board` and `tag` where it is 'item'; 'address' is one of no item, and
 * 'other' nothing that we know. `find(tag)` answers the tag of an item of this board that is
 * written so, or in another case; null where there is none.
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
  return {kind: /^[a-z]+:\/\//i.test(text) ? 'address' : 'other'};
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
 * How a label stands to this page: 'here', 'board' (another one), 'server' (another one), or
 * 'none': no label of an item. `hosts` are ours; `board` is null where the page shows none.
 */
export function placeOfLabel(label, {hosts, board}) {
  if (label.kind === 'tag') return 'here';
  if (label.kind !== 'item') return 'none';
  if (!hosts.includes(label.host)) return 'server';
  const isSame = label.isExact ? label.board === board : label.board.toLowerCase() === board?.toLowerCase();
  return isSame ? 'here' : 'board';
}
