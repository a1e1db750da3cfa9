// The situation of a list: the reason for its content, or for its emptiness. Unknown counts are hidden.

import {t} from './i18n.js';

/**
 * One of 'signed_out', 'denied', 'loading', 'unreachable', 'empty', 'no_match' and 'items'.
 * `known` is the number of items, `count` the number of those shown.
 */
export function situationOf({isSignedIn, isDenied, isLoaded, status, known, count}) {
  if (!isSignedIn) return 'signed_out';
  if (isDenied) return 'denied';
  if (!isLoaded) return status === 'offline' ? 'unreachable' : 'loading';
  if (known === 0) return 'empty';
  return count === 0 ? 'no_match' : 'items';
}

/** The sentence for a situation; `filter` as in Model.select. */
export function describe(situation, {count, filter, settings}) {
  // On a phone the filter's button may be scrolled away.
  if (situation === 'items') return [settings.items(count), whatOf(filter, settings)].filter(Boolean).join(' · ');
  if (situation === 'denied') return ''; // the banner gives the reason
  if (situation === 'no_match') return t('shown.no_match', {what: whatOf(filter, settings)});
  return t(`shown.${situation}`);
}

function whatOf({mine, state, step, text}, settings) {
  const parts = [text.trim() && t('shown.quoted', {text: text.trim()})];
  if (mine) parts.push(t('filter.mine'));
  else parts.push(state && t(`state.${state}`), step && settings.titleOf(step));
  return parts.filter(Boolean).join(' · ');
}
