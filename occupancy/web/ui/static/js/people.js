// People: who may sign in, with what role, and how; for administrators.

import * as api from './api.js';
import {badgeScanning} from './badge_scan.js';
import {byId, fill, h, setText} from './dom.js';
import {fold} from './fold.js';
import {locale, t} from './i18n.js';
import {listen} from './keys.js';
import {List} from './list.js';
import {startManaged} from './managed_page.js';
import {remember} from './memory.js';
import {ImportPanel} from './people_import.js';
import {badgesText, foundText, pinText, roleText} from './people_text.js';
import {PersonDialog} from './person_dialog.js';
import {askNew} from './person_forms.js';

const order = new Intl.Collator(locale, {numeric: true});

let people = [];
let byIds = new Map();
let shown = [];

const search = byId('search');
const role = byId('role');
const state = byId('state');
const list = new List(byId('people'), {
  row: () => h('li', {class: 'row'}), render: drawRow, keyOf: ({id}) => id,
  number(row, index, total) {
    row.setAttribute('aria-setsize', total);
    row.setAttribute('aria-posinset', index + 1);
  },
});
const find = (id) => byIds.get(id);
const dialog = new PersonDialog({find, reload: () => reload()});
const importing = new ImportPanel(byId('import'), {onClosed: closeImport, reload: () => reload()});

/** A row's elements are made once, so that the focus survives a change of the person. */
function drawRow(person, row) {
  if (!row.parts) {
    const open = h('button', {type: 'button', class: 'open', onclick: () => dialog.open(row.item)});
    row.parts = {open, id: h('span', {class: 'soft'}), role: h('span', {class: 'step'}), pin: h('span', {}),
      badges: h('span', {class: 'soft'}), off: h('span', {class: 'off-mark'}, t('people.disabled'))};
    const {parts} = row;
    row.append(h('div', {class: 'who-is'}, parts.open, parts.id),
      h('div', {class: 'facts-line'}, parts.role, parts.off, parts.pin, parts.badges));
  }
  const {parts} = row;
  setText(parts.open, person.name);
  setText(parts.id, person.id);
  setText(parts.role, roleText(person.role));
  setText(parts.pin, pinText(person));
  setText(parts.badges, badgesText(person));
  parts.pin.className = person.has_pin ? 'soft' : 'no-pin';
  parts.off.hidden = !person.disabled;
  row.classList.toggle('off', person.disabled);
}

function showFound() {
  const words = fold(search.value).split(/\s+/).filter(Boolean);
  shown = people.filter((each) => (
    (!role.value || each.role === role.value)
    && (!state.value || each.disabled === (state.value === 'disabled'))
    && words.every((word) => each.folded.includes(word))
  ));
  scrollTo(0, 0);
  draw();
}

function draw() {
  list.show({items: shown});
  setText(byId('found'), foundText(shown.length, people.length));
  byId('none').hidden = shown.length > 0;
  byId('to-cards').hidden = shown.length === 0;
}

async function load(isCurrent) {
  const found = [];
  for (let page = ''; page !== null;) {
    const answer = await api.get(`/api/workers${page && `?page=${encodeURIComponent(page)}`}`);
    if (!isCurrent()) return;
    found.push(...answer.workers);
    page = answer.next;
  }
  people = found.map((each) => ({...each, folded: fold(`${each.id} ${each.name}`)}))
    .sort((one, other) => order.compare(one.name, other.name) || order.compare(one.id, other.id));
  byIds = new Map(people.map((each) => [each.id, each]));
  byId('managed').hidden = false; // the list measures its place
  const top = scrollY;
  showFound();
  scrollTo(0, top);
}

function clear() {
  people = [];
  byIds = new Map();
  shown = [];
  dialog.close();
  importing.clear();
  closeImport();
  draw();
}

function closeImport() {
  byId('import').hidden = true;
  byId('listed').hidden = false;
}

byId('add').addEventListener('click', async () => {
  const person = await askNew({find, reload: () => reload()});
  if (!person) return;
  search.value = '';
  role.value = '';
  state.value = '';
  await reload();
  if (find(person.id)) dialog.open(find(person.id), {isNew: true});
});
byId('to-import').addEventListener('click', () => {
  byId('listed').hidden = true;
  byId('import').hidden = false;
  importing.open();
});
byId('to-cards').addEventListener('click', () => keepForCards(shown.map(({id}) => id)));
for (const each of [search, role, state]) each.addEventListener('input', showFound);
fill(role, h('option', {value: ''}, t('people.all_roles')),
  ...['observer', 'worker', 'supervisor', 'admin'].map((each) => h('option', {value: each}, roleText(each))));

/** The page of cards finds there for whom they are. */
function keepForCards(workers) {
  remember('sessionStorage', 'occupancy-cards', JSON.stringify({workers}));
}

const reload = startManaged('admin', {load, clear, listenToKeys: () => listen({
  '/': () => search.focus(),
}, badgeScanning())});
