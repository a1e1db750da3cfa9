// Badge cards and PIN slips: choose people, make a new secret for each, print it once.
//
// A badge's code and a PIN are made here and kept only in this page: the server stores hashes. So a
// request whose answer was lost can be sent again with the same secret.

import * as api from './api.js';
import {newBadgeCode, newPin} from './card_codes.js';
import {byId, fill, h, setText} from './dom.js';
import {fold} from './fold.js';
import {confirmed} from './form_dialog.js';
import {number, t, tn} from './i18n.js';
import {makeEach} from './make_each.js';
import {startManaged} from './managed_page.js';
import {recall, recallJson, remember} from './memory.js';
import {pagesOf} from './papers.js';
import {explain} from './refusal_text.js';
import * as session from './session.js';

const PLANT = 'occupancy-plant';
const CHOSEN = 'occupancy-cards'; // for whom the cards are, as other pages leave it here
const PINS = '#pin'; // in the address: PIN slips for all who have no PIN
const MOST_SHOWN = 200; // people in the list; a search shows the others
const MOST_MADE = 300; // at once: a new PIN takes the server 50 ms and more

const form = byId('making');
let people = [];
let withBadge = new Set();
let chosen = new Set();
let turn = 0;
let papers = null; // {kind, plant, made, unsure} of the last making, until it is forgotten
let isPrinted = true;
let isFirst = true; // the people come in for the first time

const REQUESTS = {
  badge: (person, code) => api.send('POST', path(person, '/badges'), {body: {code, label: t('cards.badge_label')}}),
  link: (person) => api.send('POST', path(person, '/links')),
  async pin(person, pin) {
    await api.send('PUT', path(person, ''), {body: {pin}});
    return {pin};
  },
};
const SECRETS = {badge: () => newBadgeCode(), link: () => null, pin: ({id}) => newPin(id)};

function path({id}, rest) {
  return `/api/workers/${encodeURIComponent(id)}${rest}`;
}

function kind() {
  return form.elements.kind.value;
}

/** Whether a person can be given it: a new PIN of one's own would end this session, and the slips with it. */
function isPossible(person) {
  return !person.disabled && (kind() !== 'pin' || person.id !== session.current()?.worker.id);
}

/** The people that the filters show, as far as they can be given what is chosen. */
function filtered() {
  const words = fold(byId('search').value).split(/\s+/).filter(Boolean);
  const role = byId('role').value;
  const lacking = byId('lacking').value;
  return people.filter((each) => isPossible(each)
    && (!role || each.role === role)
    && (lacking !== 'badge' || !withBadge.has(each.id))
    && (lacking !== 'pin' || !each.has_pin)
    && words.every((word) => fold(`${each.id} ${each.name}`).includes(word)));
}

function selected() {
  return people.filter((each) => chosen.has(each.id) && isPossible(each));
}

function showPeople() {
  const found = filtered();
  fill(byId('people'), ...found.slice(0, MOST_SHOWN).map((each) => h('li', {}, h('label', {},
    h('input', {type: 'checkbox', value: each.id, checked: chosen.has(each.id)}),
    h('span', {}, each.name, h('span', {class: 'soft'}, describe(each)))))));
  byId('more-people').hidden = found.length <= MOST_SHOWN;
  setText(byId('more-people'), tn('cards.more_people', found.length - MOST_SHOWN));
  setText(byId('choose-all'), found.length === 0 ? t('cards.nobody') : tn('cards.choose_all', found.length));
  byId('choose-all').disabled = found.length === 0;
  showCount();
}

function describe(person) {
  return [person.id, t(`role.${person.role}`), withBadge.has(person.id) && t('cards.has_badge'),
    !person.has_pin && t('cards.has_no_pin')].filter(Boolean).join(' · ');
}

function showCount() {
  const count = selected().length;
  setText(byId('make'), `${t(`cards.make.${kind()}`)} (${number(count)})`);
  byId('choose-none').disabled = count === 0;
}

/** Asks where sessions end, then makes them. */
async function make() {
  const given = selected();
  const what = kind();
  const wrong = given.length === 0 ? t('cards.choose_somebody')
    : given.length > MOST_MADE ? t('cards.too_many', {most: MOST_MADE}) : '';
  setText(byId('making-said'), wrong || (isPrinted ? '' : t('cards.print_first')));
  if (byId('making-said').textContent !== '') return;
  const mine = turn;
  if (what === 'pin' && given.some((each) => each.has_pin)) {
    const isSure = await confirmed({title: tn('cards.sure_pin', given.length), text: t('cards.ends_pin'),
      yes: t('cards.make.pin'), isDanger: true});
    if (!isSure || mine !== turn) return;
  }
  forget(); // the last ones are printed
  await run(what, given, new Map(given.map((each) => [each.id, SECRETS[what](each)])));
}

/** One request for each; what was made before by the same making stays. */
async function run(what, given, secrets, before = []) {
  const mine = turn;
  byId('make').disabled = true;
  byId('again').disabled = true;
  byId('print').disabled = true; // a half set would be taken for the whole
  isPrinted = false; // from the first request on there may be something to lose
  const found = await makeEach(given, (person) => REQUESTS[what](person, secrets.get(person.id)), {
    isCurrent: () => mine === turn,
    onDone: (done) => setText(byId('progress'), t('cards.making', {done: number(done), all: number(given.length)})),
  });
  byId('make').disabled = false;
  byId('again').disabled = false;
  byId('print').disabled = false;
  setText(byId('progress'), '');
  if (mine !== turn) return;
  papers = {
    kind: what, secrets, made: [...before, ...found.made],
    again: [...found.uncertain.map(({person}) => person), ...found.left],
  };
  isPrinted = papers.made.length === 0;
  chosen = new Set();
  showMade(found);
  await refresh();
}

function showMade(found) {
  const names = (list) => list.map(({name, id}) => `${name} (${id})`).join(', ');
  setText(byId('made-title'), tn(`cards.made.${papers.kind}`, papers.made.length));
  fill(byId('outcomes'),
    found.uncertain.length > 0 && h('p', {class: 'said'},
      t(`cards.uncertain.${papers.kind}`, {names: names(found.uncertain.map(({person}) => person))})),
    ...found.refused.map(({person, problem}) => h('p', {class: 'said'},
      t('cards.refused', {name: names([person]), why: whyOf(problem)}))),
    found.left.length > 0 && h('p', {class: 'said'},
      t('cards.left', {names: names(found.left), why: found.problem ? explain(found.problem) : ''})));
  byId('again').hidden = papers.again.length === 0;
  byId('print').hidden = papers.made.length === 0;
  fill(byId('papers'), ...pagesOf(papers.kind, papers.made, byId('plant').value.trim()));
  byId('made').hidden = false;
  byId('made').focus();
}

function whyOf(problem) {
  if (problem.code === 'limit_reached') return t('cards.too_many_badges');
  return problem.code === 'invalid_request' ? t('cards.changed') : explain(problem);
}

function forget() {
  papers = null;
  isPrinted = true;
  fill(byId('papers'));
  fill(byId('outcomes'));
  byId('made').hidden = true;
}

async function fetchPeople(isCurrent) {
  const found = [];
  for (let page = ''; page !== null;) {
    const answer = await api.get(`/api/workers?state=active${page && `&page=${encodeURIComponent(page)}`}`);
    if (!isCurrent()) return;
    found.push(...answer.workers);
    page = answer.next;
  }
  const {badges} = await api.get('/api/badges');
  if (!isCurrent()) return;
  people = found;
  withBadge = new Set(badges.map(({worker}) => worker));
  if (isFirst) chooseAsAsked();
  isFirst = false;
  showPeople();
}

/** Chooses what the page was opened for. */
function chooseAsAsked() {
  if (location.hash === PINS) {
    form.elements.kind.value = 'pin';
    byId('lacking').value = 'pin';
    chosen = new Set(filtered().map(({id}) => id));
    return;
  }
  chosen = new Set(recallJson('sessionStorage', CHOSEN)?.workers);
  remember('sessionStorage', CHOSEN, null);
}

/** The people again, without touching what is to be printed. */
async function refresh() {
  const mine = turn;
  try {
    await fetchPeople(() => mine === turn);
  } catch (problem) {
    if (problem.status === undefined) throw problem; // a bug of the page
    if (mine === turn) setText(byId('making-said'), explain(problem));
  }
}

function clear() {
  turn += 1;
  forget();
  people = [];
  chosen = new Set();
  fill(byId('people'));
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (!byId('make').disabled) make();
});
for (const id of ['search', 'role', 'lacking']) byId(id).addEventListener('input', showPeople);
for (const each of form.elements.kind) each.addEventListener('change', showPeople);
byId('search').addEventListener('keydown', (event) => {
  if (event.key === 'Enter') event.preventDefault(); // it would make cards
});
byId('people').addEventListener('change', ({target}) => {
  if (target.checked) chosen.add(target.value);
  else chosen.delete(target.value);
  showCount();
});
byId('choose-all').addEventListener('click', () => {
  for (const each of filtered()) chosen.add(each.id);
  showPeople();
});
byId('choose-none').addEventListener('click', () => {
  chosen = new Set();
  showPeople();
});
byId('again').addEventListener('click', () => run(papers.kind, papers.again, papers.secrets, papers.made));
byId('forget').addEventListener('click', async () => {
  if (!isPrinted && !await confirmed({title: t('cards.forget'), text: t('cards.sure_forget'),
    yes: t('cards.forget'), isDanger: true})) return;
  forget();
  byId('search').focus();
});
byId('print').addEventListener('click', async () => {
  await Promise.all([...byId('papers').querySelectorAll('img')].map((each) => each.decode()));
  globalThis.print();
});
// The browser does not tell whether the pages were printed or the user has cancelled.
addEventListener('afterprint', async () => {
  const printed = papers;
  if (isPrinted || printed === null || byId('ask-dialog').open) return;
  const isGood = await confirmed({title: t('cards.printed_question'), text: t('cards.printed_why'),
    yes: t('cards.printed_yes'), no: t('cards.printed_no')});
  if (papers === printed) isPrinted = isGood;
});
addEventListener('beforeunload', (event) => {
  if (!isPrinted) event.preventDefault(); // the browser asks
});

byId('plant').value = recall('localStorage', PLANT) ?? '';
byId('plant').addEventListener('input', () => {
  remember('localStorage', PLANT, byId('plant').value);
  if (papers) fill(byId('papers'), ...pagesOf(papers.kind, papers.made, byId('plant').value.trim()));
});

startManaged('admin', {load: fetchPeople, clear});
