// The audit trail in words: the sentence of an entry, and the details that the sentence does not say.

import {number, t, tn} from './i18n.js';

// What the sentence of an event, or a column, says already.
const SAID = {
  signed_in: [], sign_in_refused: ['code'], denied: ['code', 'method', 'path'], malformed: [], failed: ['code'],
  worker_added: ['role', 'fields', 'disabled'], worker_edited: ['role', 'fields', 'disabled'],
  workers_imported: ['added', 'updated'], items_imported: ['added', 'updated'],
};
const COUNTED = ['more', 'within_s'];
const KNOWN_DETAILS = [
  'badge', 'boards', 'code', 'complete', 'credential', 'days', 'fields', 'file', 'format', 'idle_s', 'items',
  'more', 'name', 'rejected', 'role', 'rows', 'station', 'steps', 'token', 'unchanged', 'version', 'workers'];
const FILTERS = {
  filter_event: 'event', filter_worker: 'worker', filter_by: 'by', filter_board: 'board', filter_address: 'address',
  filter_since: 'since', filter_until: 'until', filter_q: 'text'};

/** The names of people and boards by id, for those that are still there. */
export class Names {
  constructor() {
    this.people = new Map();
    this.boards = new Map();
  }

  person(id, means) {
    if (!id) return t('audit.somebody');
    if (means === 'cli') return id;
    const name = this.people.get(id);
    return name && name !== id ? `${name} (${id})` : id;
  }

  board(id) {
    const title = this.boards.get(id);
    return title && title !== id ? `${title} (${id})` : id ?? '';
  }
}

/** The sentence of an entry as parts: {text}, or {name} of a person, a board or a path, whose direction is its own. */
export function sentence(entry, names) {
  const {event, by, worker, board, means, details} = entry;
  const values = {
    by: {name: names.person(by, means)},
    worker: {name: names.person(worker)},
    board: {name: names.board(board)},
    path: {name: [details.method, details.path].filter(Boolean).join(' '), isPath: true},
    what: {text: changes(details)},
    role: {text: roleOf(details.role)},
    reason: {text: reasonOf(entry)},
    counts: {text: countsOf(details)},
    format: {text: String(details.format ?? '').toUpperCase()},
    more: {text: number(details.more ?? 0)},
  };
  // The count of a flood has no address of its own.
  const key = event === 'denied' && !details.path ? 'audit.denials' : `audit.event.${event}`;
  const message = t(key);
  // A newer process may have written an event that this page does not know.
  const known = message === key ? t('audit.other', {event}) : message;
  const parts = known.split(/(\{\w+\})/).filter(Boolean).map((part) => values[part.slice(1, -1)] ?? {text: part});
  const somebody = t('audit.somebody');
  if (parts[0].name === somebody) parts[0] = {text: somebody[0].toUpperCase() + somebody.slice(1)};
  return parts;
}

/** What else is known of an entry, as texts. */
export function detailsOf(entry) {
  const said = [...(SAID[entry.event] ?? []), ...COUNTED];
  const shown = Object.entries(entry.details).filter(([name]) => !said.includes(name))
    .map(([name, value]) => `${labelOf(name)}: ${valueOf(name, value)}`);
  const {more} = entry.details;
  // A flood is one entry with a number.
  if (more !== undefined && entry.event !== 'entries_dropped') shown.push(tn('audit.more_of_these', more));
  return shown;
}

function labelOf(name) {
  if (FILTERS[name]) return t(`audit.filter.${FILTERS[name]}`);
  return KNOWN_DETAILS.includes(name) ? t(`audit.detail.${name}`) : name;
}

function valueOf(name, value) {
  if (name === 'role') return roleOf(value);
  return typeof value === 'boolean' ? t(value ? 'audit.yes' : 'audit.no') : value;
}

function changes({fields, role, disabled}) {
  const texts = {
    name: () => t('audit.field.name'),
    role: () => t('audit.field.role', {role: roleOf(role)}),
    pin: () => t('audit.field.pin'),
    disabled: () => t(disabled ? 'audit.field.disabled' : 'audit.field.enabled'),
  };
  const names = String(fields ?? '').split(',').filter(Boolean);
  return names.map((name) => texts[name]?.() ?? name).join(', ') || t('audit.field.nothing');
}

function roleOf(role) {
  return role ? t(`role.${role}`) : '';
}

const REASONS = ['unauthenticated', 'forbidden', 'csrf', 'rate_limited', 'unconfirmed', 'others'];

function reasonOf({event, details: {code}}) {
  // At a sign-in it is what was typed; elsewhere, that nobody is signed in.
  if (event === 'sign_in_refused' && code === 'unauthenticated') return t('audit.reason.wrong');
  return REASONS.includes(code) ? t(`audit.reason.${code}`) : code ?? '';
}

function countsOf({added = 0, updated = 0}) {
  return t('audit.counts', {added: number(added), updated: number(updated)});
}

const MEANS = ['session', 'token', 'cli', 'pin', 'link', 'new_pin', 'badge', 'badge_and_pin', 'pairing'];

/** How somebody was authenticated; '' if that is not known. */
export function meansOf({means}) {
  return MEANS.includes(means) ? t(`audit.means.${means}`) : means ?? '';
}
