// Scanning: the reaction of a page to a scanned label, and its messages.
//
// A label of this board selects its item and changes nothing. A label of another board or server never
// selects an item here with the same tag. While a dialog is open, a scan changes nothing, and the
// dialog says so.
//
// At a paired station what is no item is tried as a badge, which signs in its worker. An item goes first:
// one that the page knows, and one that only the server knows, which it says in its answer to the badge. A
// badge is neither shown nor put into an address, so that it is in no log.

import * as api from './api.js';
import {t} from './i18n.js';
import {placeOfLabel, readLabel} from './label.js';
import {Notices} from './notice.js';
import {explain} from './refusal_text.js';
import * as session from './session.js';

const MOST_SHOWN = 80;

/**
 * The hooks for keys.js. `board` is null for a page without one. `find(tag)` returns the tag of an item
 * that the page knows; `select(tag)` shows it and returns an additional message. Pages without these two
 * ask the server. `hindrance()` returns the reason why no item can be found now, or ''. `notices` are
 * the page's. `station()` is the paired station ({board}, null for all boards) or null; `useBadge(code,
 * board)` signs in.
 */
export function scanning({
  board = null, find = null, select = null, hindrance = () => '', notices = new Notices(),
  station = () => session.current()?.station ?? null, useBadge = session.useBadge,
} = {}) {
  const hosts = [location.host, document.body.dataset.home].filter(Boolean);
  const say = (text, address = null) => notices.say(text, {kind: 'scanned', address});
  let turn = 0;
  let trying = Promise.resolve(); // badges one after the other, so that the last one stays signed in

  async function onScan(label) {
    turn += 1;
    const mine = turn;
    const {tag} = label;
    const place = placeOfLabel(label, {hosts, board});
    const dialog = document.querySelector('dialog[open]');
    // The scan may be a badge or a PIN, so only a label's tag is shown.
    if (mayBeBadge(label)) {
      if (dialog && dialog.id !== 'session-dialog') say(t('scan.badge_later'));
      else {
        trying = trying.then(() => tryBadge(label));
        const said = await trying;
        if (mine === turn && said) say(said);
      }
    } else if (dialog?.id === 'session-dialog') say(t('scan.sign_in_first'));
    else if (place === 'server') say(t('scan.other_server', {tag, host: label.host}));
    else if (place === 'board') say(t('scan.other_board', {tag, board: label.board}), addressOf(label.board, tag));
    else if (place === 'none') say(whatIsNoLabel(label));
    else if (dialog) say(t('scan.answer_first', {tag}));
    else if (board === null) say(t('scan.no_board', {tag}));
    else if (hindrance()) say(hindrance());
    else if (find) say(label.isKnown ? select(tag) : t('scan.unknown', {tag}));
    else {
      const said = await visit(tag);
      if (mine === turn) say(said);
    }
  }

  function mayBeBadge({kind, isKnown}) {
    return station() !== null && !isKnown && (kind === 'tag' || kind === 'other');
  }

  async function tryBadge({tag, text}) {
    const only = station()?.board ?? null;
    try {
      // The tag has the scanner's prefix and the keyboard's layout undone.
      await useBadge(tag ?? text, only === null || only === board ? board : null);
    } catch (problem) {
      if (problem.code === 'already_exists') {
        location.href = addressOf(board, problem.item);
        return t('scan.found', {tag: problem.item});
      }
      return problem.code === 'unauthenticated' ? t('scan.badge_unknown') : session.explainSignIn(problem);
    }
    document.querySelector('dialog[open]')?.close();
    return t('session.signed_in', {name: session.current()?.worker.name ?? ''});
  }

  async function visit(tag) {
    try {
      await api.get(`/api/boards/${board}/items/${encodeURIComponent(tag)}`);
    } catch (problem) {
      return problem.code === 'item_not_found' ? t('scan.unknown', {tag}) : explain(problem);
    }
    location.href = addressOf(board, tag);
    return t('scan.found', {tag});
  }

  const knows = (label) => label.kind === 'tag' || placeOfLabel(label, {hosts, board}) === 'here';
  return {
    read(burst) {
      const label = readLabel(burst, find ?? undefined);
      return {...label, isKnown: label.isKnown && knows(label), isBadgeLikely: station() !== null};
    },
    onScan,
    onHeld: () => say(t('scan.held')),
  };
}

function addressOf(board, tag) {
  return `/boards/${encodeURIComponent(board)}/items/${encodeURIComponent(tag)}`;
}

function whatIsNoLabel({kind, text}) {
  // An address may be a sign-in link, so it is not shown.
  return kind === 'address' ? t('scan.address') : t('scan.no_label', {text: text.slice(0, MOST_SHOWN)});
}
