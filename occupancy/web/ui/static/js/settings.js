// The settings of a board. One button saves all of them, with the version that they were loaded with. If
// somebody else has changed them meanwhile, what was typed stays, and the user chooses.

import * as api from './api.js';
import {askRemoval} from './board_removal.js';
import {announce, byId, fill, h, setText} from './dom.js';
import {confirmed} from './form_dialog.js';
import {t} from './i18n.js';
import {startManaged} from './managed_page.js';
import {explain} from './refusal_text.js';
import * as session from './session.js';
import {FIELDS, bodyOf, changedFields, merge, problemsOf, settingsOf, valuesOf} from './settings_draft.js';
import {SettingsForm, attributesOf, textOf} from './settings_form.js';

const {board: name} = document.body.dataset;
const address = `/api/boards/${name}`;
const said = byId('save-said');
const form = new SettingsForm(changed);
let board = null; // as it was loaded or saved
let whoEdits = null;
let kept = null; // what a session that has ended had typed, and who
let isSaving = false;
let isLeaving = false;

fill(byId('sections'), ...form.sections());

function isChanged() {
  return board !== null && changedFields(valuesOf(board), form.values()).length > 0;
}

function changed() {
  const names = changedFields(valuesOf(board), form.values());
  byId('save').setAttribute('aria-disabled', String(names.length === 0));
  byId('discard').hidden = names.length === 0;
  said.classList.remove('refused');
  setText(said, names.length === 0 ? '' : t('settings.unsaved', {what: namesOf(names)}));
}

function namesOf(fields) {
  return fields.map((each) => t(`settings.field.${each}`)).join(', ');
}

function show(found, values = valuesOf(found)) {
  board = found;
  form.show(board, values);
  byId('conflict').hidden = true;
  setText(byId('board-title'), board.title);
  byId('no-items').hidden = Object.values(board.counts).some((count) => count > 0);
  changed();
}

async function load(isCurrent) {
  const found = await api.get(address);
  if (!isCurrent()) return;
  whoEdits = session.current().worker.id;
  if (kept?.who === whoEdits) {
    const draft = merge(valuesOf(kept.board), kept.values, valuesOf(found));
    show(found, draft.merged);
    if (draft.both.length > 0) showConflict(kept.board, found, kept.values);
    kept = null;
  } else {
    show(found);
  }
  byId('bar').hidden = false;
  api.get(`${address}/items?limit=500`).then(({items}) => {
    if (isCurrent()) form.showAttributes(attributesOf(items));
  }).catch(() => {}); // proposals only
}

function clear() {
  if (isChanged()) kept = {who: whoEdits, board, values: form.values()};
  board = null;
  byId('bar').hidden = true;
}

async function save() {
  if (isSaving || !isChanged()) return;
  const values = form.values();
  const first = form.showProblems(problemsOf(values));
  if (first) {
    refuse(t('settings.wrong_somewhere'));
    first.focus();
    return;
  }
  isSaving = true;
  byId('save').setAttribute('aria-busy', 'true');
  const base = board;
  setText(said, t('settings.saving'));
  try {
    const found = await api.send('PATCH', address, {body: bodyOf(valuesOf(base), values),
      headers: {'If-Match': `"${base.settings.version}"`}});
    if (board === base) saved(found, values);
  } catch (problem) {
    if (problem.status === undefined) throw problem; // a bug of the page
    if (board === base) await refused(problem, base, values);
  } finally {
    isSaving = false;
    byId('save').removeAttribute('aria-busy');
  }
}

/** `values` stand. What was typed since they were sent stays too. */
function saved(found, values) {
  if (JSON.stringify(form.values()) === JSON.stringify(values)) {
    show(found);
    setText(said, t('settings.saved'));
  } else {
    show(found, form.values());
    announce(t('settings.saved'));
  }
}

function refuse(text) {
  said.classList.add('refused');
  setText(said, text);
}

async function refused(problem, base, values) {
  const field = problem.code === 'invalid_request' && FIELDS.find((each) => problem.detail.startsWith(each));
  if (problem.status === 412) {
    await overtaken(base, values);
  } else if (problem.code === 'step_in_use') {
    const at = base.steps.indexOf(problem.step);
    board = {...base, step_counts: {...base.step_counts, [problem.step]: problem.items}};
    form.showCounts(board);
    form.steps.putBack({step: problem.step, title: base.step_titles[problem.step]}, at);
    refuse(t('settings.step_stays', {step: base.step_titles[problem.step]}));
  } else if (problem.code === 'board_not_found') {
    refuse(t('board.none', {board: name}));
  } else if (problem.status === 401) {
    refuse(explain(problem));
    session.openDialog();
  } else if (problem.code === 'unreachable') {
    refuse(t('settings.uncertain'));
  } else {
    refuse(field ? t('settings.not_accepted', {what: t(`settings.field.${field}`)}) : explain(problem));
  }
}

/** The settings have another version: perhaps by our own request, whose answer was lost. */
async function overtaken(base, values) {
  let found;
  try {
    found = await api.get(address);
  } catch (problem) {
    if (board === base) refuse(explain(problem));
    return;
  }
  if (board !== base) return;
  const {isSame} = merge(valuesOf(base), values, valuesOf(found));
  if (isSame) saved(found, values);
  else showConflict(base, found, values);
}

/** Somebody else has changed the settings from `base` to `theirs`; the user chooses. */
function showConflict(base, theirs, values) {
  const {both} = merge(valuesOf(base), values, valuesOf(theirs));
  const place = byId('conflict');
  fill(place,
    h('h2', {}, t('settings.overtaken')),
    h('p', {}, t('settings.overtaken_kept')),
    both.length > 0 && h('dl', {}, ...both.flatMap((each) => [
      h('dt', {}, t('settings.theirs', {what: t(`settings.field.${each}`)})),
      h('dd', {}, h('bdi', {}, textOf(each, settingsOf(valuesOf(theirs)))))])),
    h('div', {class: 'buttons'},
      h('button', {type: 'button', id: 'keep-mine', class: 'primary', onclick: () => {
        show(theirs, merge(valuesOf(base), form.values(), valuesOf(theirs)).merged);
        setText(said, t('settings.kept_mine'));
        byId('save').focus();
      }}, t('settings.keep_mine')),
      h('button', {type: 'button', id: 'load-theirs', onclick: () => {
        show(theirs);
        setText(said, t('settings.loaded_theirs'));
        byId('sections').querySelector('input').focus();
      }}, t('settings.load_theirs'))));
  place.hidden = false;
  refuse(t('settings.overtaken'));
  place.focus();
}

/** Whoever comes back to the page gets the settings and numbers as they are by now. */
async function look() {
  if (document.hidden || board === null || isSaving || !byId('conflict').hidden) return;
  const base = board;
  const found = await api.get(address).catch(() => null); // saving says what is wrong
  if (found === null || board !== base || isSaving) return;
  if (found.settings.version === board.settings.version) {
    board = found;
    form.showCounts(found);
  } else if (!isChanged()) {
    show(found);
  } else {
    showConflict(base, found, form.values());
  }
}

byId('settings-form').addEventListener('submit', (event) => {
  event.preventDefault();
  save();
});
byId('discard').addEventListener('click', async () => {
  const isSure = await confirmed({title: t('settings.discard_question'), yes: t('settings.discard'), isDanger: true});
  if (!isSure || board === null) return;
  show(board);
  setText(said, t('settings.discarded'));
  byId('save').focus();
});
byId('remove').addEventListener('click', async () => {
  if (!await askRemoval(board)) return;
  isLeaving = true;
  location.assign('/boards');
});
addEventListener('beforeunload', (event) => {
  if (!isLeaving && (isChanged() || kept !== null)) event.preventDefault();
});
document.addEventListener('visibilitychange', look);

startManaged('admin', {load, clear});
