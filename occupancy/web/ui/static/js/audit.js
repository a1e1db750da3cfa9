// The audit trail for administrators: sign-ins, refusals and changes, newest first.
//
// The filters are in the page's address, so a view can be shared and the back button works.

import * as api from './api.js';
import {detailsOf, meansOf, Names, sentence} from './audit_text.js';
import {serverNow} from './clock.js';
import {announce, byId, fill, h, setText} from './dom.js';
import {ago, moment, t, tn} from './i18n.js';
import {start, startAgain} from './page.js';
import {explain} from './refusal_text.js';
import * as session from './session.js';

const FILTERS = ['event', 'worker', 'by', 'board', 'address', 'since', 'until', 'q'];
const REFUSALS = ['sign_in_refused', 'denied', 'malformed', 'failed'];
const TICK_MS = 30000;

const form = byId('filters');
const rows = byId('entries').tBodies[0];
let names = new Names();
let next = null;
let turn = 0; // a response may arrive after the filters or the session have changed

/** The filters of the address, by name. */
function chosen() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(FILTERS.filter((name) => query.get(name)).map((name) => [name, query.get(name)]));
}

/** The query of the API: the days of this device's time zone as moments. */
function queryOf(filters, more = {}) {
  const query = {...filters, ...more};
  for (const [name, days] of [['since', 0], ['until', 1]]) {
    const day = /^(\d{4})-(\d\d)-(\d\d)$/.exec(query[name] ?? '');
    if (day) query[name] = new Date(Number(day[1]), day[2] - 1, Number(day[3]) + days).toISOString();
  }
  return new URLSearchParams(query).toString();
}

function showFilters() {
  const filters = chosen();
  for (const name of FILTERS) form.elements[name].value = filters[name] ?? '';
  byId('clear').hidden = Object.keys(filters).length === 0;
  // An active filter is never out of sight.
  if (Object.keys(filters).some((name) => !['event', 'q'].includes(name))) byId('more-filters').open = true;
  for (const format of ['csv', 'jsonl']) {
    byId(`export-${format}`).href = `/api/audit/export?${queryOf(filters, {format})}`;
  }
}

function row(entry) {
  const details = detailsOf(entry);
  return h('tr', {class: REFUSALS.includes(entry.event) ? 'refused' : null, 'data-event': entry.event},
    h('td', {class: 'entry-when'}, h('time', {datetime: entry.at}, moment(entry.at)), ' ',
      h('span', {class: 'soft', 'data-at': entry.at}, ago(entry.at))),
    h('td', {class: 'entry-what'},
      ...sentence(entry, names).map(({name, text, isPath}) => (
        name === undefined ? text : h('bdi', {class: isPath ? 'path' : null}, name))),
      details.length > 0 && h('span', {class: 'soft details'}, details.join(' · '))),
    h('td', {class: 'entry-means'}, meansOf(entry)),
    h('td', {class: 'entry-from'}, entry.address ?? ''));
}

async function load(page = null) {
  const mine = turn;
  const filters = chosen();
  try {
    const found = await api.get(`/api/audit?${queryOf(filters, page ? {page} : {})}`);
    if (mine !== turn) return;
    if (!page) fill(rows);
    rows.append(...found.entries.map(row));
    ({next} = found);
    setText(byId('said'), '');
    byId('audit').hidden = false;
    byId('none').hidden = rows.children.length > 0;
    // Without entries the next page may have some: a page looks at a part of the trail.
    setText(byId('none'), t(next ? 'audit.none_yet' : 'audit.none'));
    byId('more').hidden = next === null;
    if (page) announce(tn('audit.loaded', found.entries.length));
  } catch (problem) {
    if (mine !== turn) return;
    if (problem.status === 401) {
      clear();
      await startAgain(run);
      return;
    }
    const texts = {400: () => problem.detail, 403: () => t('audit.denied')};
    setText(byId('said'), texts[problem.status]?.() ?? explain(problem));
    byId('audit').hidden = problem.status === 403;
  }
}

/** The names of people and boards; without them the ids are shown. */
async function loadNames() {
  const mine = turn;
  const found = new Names();
  try {
    const [{workers}, {boards}] = await Promise.all([api.get('/api/workers'), api.get('/api/boards')]);
    for (const each of workers) found.people.set(each.id, each.name);
    for (const each of boards) found.boards.set(each.board, each.title);
    if (mine !== turn) return;
    const options = (map) => [...map].map(([id, name]) => h('option', {value: id}, name));
    fill(byId('people'), ...options(found.people));
    fill(byId('board-names'), ...options(found.boards));
  } catch {
    // load() says what is wrong.
  }
  names = found;
}

function clear() {
  turn += 1;
  next = null;
  fill(rows);
  byId('audit').hidden = true;
}

async function run(who) {
  clear();
  if (!who) {
    setText(byId('said'), t('audit.signed_out'));
    return;
  }
  if (!session.may('admin')) {
    setText(byId('said'), t('audit.denied'));
    return;
  }
  setText(byId('said'), t('shown.loading'));
  showFilters();
  await loadNames();
  await load();
}

/** Shows what the filters of `query` select. */
function go(query) {
  history.pushState(null, '', query ? `/audit?${query}` : '/audit');
  changed();
}

function changed() {
  turn += 1;
  byId('more').hidden = true; // it would add older entries of the former filter
  showFilters();
  load();
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const given = [...new FormData(form)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value);
  go(new URLSearchParams(given).toString());
});
byId('clear').addEventListener('click', () => {
  go('');
  form.elements.event.focus();
});
byId('more').addEventListener('click', async () => {
  const before = rows.children.length;
  byId('more').disabled = true;
  await load(next);
  byId('more').disabled = false;
  if (!byId('more').hidden) byId('more').focus();
  else if (rows.children[before]) {
    rows.children[before].tabIndex = -1;
    rows.children[before].focus();
  }
});
addEventListener('popstate', () => { if (session.may('admin')) changed(); });
setInterval(() => {
  for (const each of rows.querySelectorAll('[data-at]')) setText(each, ago(each.dataset.at, serverNow()));
}, TICK_MS);

start(run);
