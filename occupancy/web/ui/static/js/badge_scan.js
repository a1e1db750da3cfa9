// Scans on the page of people: a badge that is given to somebody, and all others.
//
// A badge's code is a secret: it is neither shown, nor left in a field, nor taken for an item's tag.

import {t} from './i18n.js';
import {Notices} from './notice.js';
import {scanning} from './scan.js';
import * as session from './session.js';

let taking = null;

/** Has `take(code)` called with the next badge, or with null for a label that is none; returns how to stop. */
export function takeBadges(take) {
  taking = take;
  return () => { if (taking === take) taking = null; };
}

/** The hooks for keys.js. */
export function badgeScanning() {
  const notices = new Notices();
  const usual = scanning({notices});
  const isFormOpen = () => document.querySelector('dialog[open]:not(#session-dialog)') !== null;
  return {
    ...usual,
    read(burst) {
      const label = usual.read(burst);
      return isFormOpen() ? {...label, isBadgeLikely: true} : label;
    },
    onScan(label) {
      const mayBeBadge = label.kind === 'tag' || label.kind === 'other';
      // The tag has the scanner's prefix and the keyboard's layout undone.
      if (taking !== null) taking(mayBeBadge ? label.tag ?? label.text : null);
      else if (isFormOpen()) notices.say(t('scan.badge_later'), {kind: 'scanned'});
      else if (mayBeBadge && !session.current()?.station) notices.say(t('people.badge.open_first'), {kind: 'scanned'});
      else usual.onScan(label);
    },
  };
}
