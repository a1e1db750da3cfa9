// The badges of a person: listed, removed, and given by scanning.

import * as api from './api.js';
import {takeBadges} from './badge_scan.js';
import {announce, h, setText} from './dom.js';
import {field, openForm} from './form_dialog.js';
import {t} from './i18n.js';
import {badgeDates, badgeName, explainPerson} from './people_text.js';

const pathOf = (id) => `/api/workers/${encodeURIComponent(id)}/badges`;
const LEAST_CHARS = 4;

export async function loadBadges({id}) {
  return (await api.get(pathOf(id))).badges;
}

/** The list; `onRemove(badge)` is called by its buttons. */
export function badgeList(badges, onRemove) {
  return h('ul', {class: 'badges'}, ...badges.map((badge) => (
    h('li', {},
      h('div', {}, h('strong', {}, badgeName(badge)), h('span', {class: 'soft'}, badgeDates(badge))),
      h('button', {type: 'button', class: 'danger', onclick: () => onRemove(badge),
        'aria-label': t('people.badge.remove_one', {badge: badgeName(badge)})}, t('people.badge.remove')))
  )));
}

/** Asks, and removes a badge; resolves to true, or null. */
export function askRemoval({id, name}, badge) {
  return openForm({
    title: t('people.badge.remove_one', {badge: badgeName(badge)}),
    fields: [h('p', {}, t('people.badge.remove_ask', {name}))],
    yes: t('people.badge.remove'),
    isDanger: true,
    explainProblem: explainPerson,
    async send() {
      try {
        await api.send('DELETE', `${pathOf(id)}/${encodeURIComponent(badge.id)}`);
      } catch (problem) {
        if (problem.code !== 'not_found') throw problem; // somebody else has removed it
      }
      return true;
    },
  });
}

/** Waits for a scan, or a typed code, and gives the badge; resolves to the badge, or null. */
export async function askBadge({id, name}, nameOf) {
  const waiting = h('p', {class: 'scan-here', tabindex: '-1'}, t('people.badge.scan_now'));
  const label = h('input', {name: 'label', maxlength: '60', autocomplete: 'off'});
  const code = h('input', {name: 'code', type: 'password', maxlength: '128', autocomplete: 'off',
    spellcheck: 'false', autocapitalize: 'off'});
  let form = null;
  const stop = takeBadges((scanned) => {
    if (scanned === null) {
      setText(waiting, t('people.badge.no_badge'));
      return;
    }
    code.value = scanned;
    form.requestSubmit();
  });
  const asked = openForm({
    title: t('people.badge.title', {name}),
    fields: [
      waiting,
      field(t('people.badge.label'), label, {hint: t('people.badge.label_hint')}),
      field(t('people.badge.code'), code, {hint: t('people.badge.code_hint')}),
    ],
    yes: t('people.badge.give'),
    explainProblem(problem) {
      code.value = ''; // of a badge, nothing stays on the screen
      waiting.focus();
      if (problem.code === 'already_exists') {
        return problem.worker ? t('people.badge.others', {name: nameOf(problem.worker)}) : t('people.badge.somebodys');
      }
      if (problem.code === 'limit_reached') return t('people.badge.too_many');
      if (problem.code === 'invalid_request') return t('people.badge.refused');
      return explainPerson(problem);
    },
    async send() {
      const given = code.value.trim();
      if ([...given].length < LEAST_CHARS) {
        throw new api.Problem({code: 'invalid_request', status: 400, detail: ''});
      }
      const text = label.value.trim();
      const {badge} = await api.send('POST', pathOf(id), {body: {code: given, ...(text && {label: text})}});
      code.value = '';
      return badge;
    },
  });
  form = label.form;
  waiting.focus(); // keys that go to no field are surely a scan's
  try {
    const badge = await asked;
    if (badge) announce(t('people.badge.given', {name}));
    return badge;
  } finally {
    stop();
    code.value = '';
  }
}
