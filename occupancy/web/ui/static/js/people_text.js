// People in words: their roles, what is known of them, and refusals.

import {ago, moment, number, t, tn} from './i18n.js';
import {explain} from './refusal_text.js';
import {pinProblem} from './pin_rule.js';

export const ROLES = ['observer', 'worker', 'supervisor', 'admin'];

export function roleText(role) {
  return t(`role.${role}`);
}

export function pinText({has_pin: hasPin}) {
  return t(hasPin ? 'people.has_pin' : 'people.no_pin');
}

/** '2 badges · last used 3 days ago', or '' without a badge. */
export function badgesText({badges, badge_last_used: used}) {
  if (!badges) return '';
  const count = tn('people.badges', badges);
  return `${count} · ${used ? t('people.badge.used', {ago: ago(used)}) : t('people.badge.never_used')}`;
}

/** A badge as people tell them apart: by its label, or its last characters. */
export function badgeName({label, ending}) {
  return label ?? (ending ? t('people.badge.ending', {ending}) : t('people.badge.unnamed'));
}

export function badgeDates({added, last_used: used}) {
  const texts = [added && t('people.badge.added', {when: moment(added)}),
    used ? t('people.badge.used', {ago: ago(used)}) : t('people.badge.never_used')];
  return texts.filter(Boolean).join(' · ');
}

export function foundText(shown, all) {
  return shown === all ? tn('people.count', all) : t('people.count_of', {shown: number(shown), all: number(all)});
}

/** Why a PIN is not allowed, or ''. */
export function pinRefusal(pin, workerId) {
  const found = pinProblem(pin, workerId);
  if (found === null) return '';
  return found === 'length' ? t('people.pin.length') : t('people.pin.obvious');
}

/** A refusal of a change of a person, in the page's language. */
export function explainPerson(problem) {
  if (problem.code === 'unreachable') return t('people.unanswered');
  if (problem.code === 'worker_not_found') return t('people.gone');
  // The page has checked what was typed: this is what only the server knows.
  if (problem.code === 'invalid_request') return t('people.refused');
  return explain(problem);
}
