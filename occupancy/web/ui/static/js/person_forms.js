// Forms that add people, edit them, disable them and sign them out.

import * as api from './api.js';
import {h, setText} from './dom.js';
import {field, openForm} from './form_dialog.js';
import {t} from './i18n.js';
import {ROLES, explainPerson, roleText} from './people_text.js';
import {isPersonId, isPersonName, proposedPersonId} from './person_ids.js';
import * as session from './session.js';

const pathOf = (id) => `/api/workers/${encodeURIComponent(id)}`;

function roleSelect(chosen) {
  const descriptions = {observer: 'people.role.observer', worker: 'people.role.worker',
    supervisor: 'people.role.supervisor', admin: 'people.role.admin'};
  const hint = h('span', {class: 'hint', id: 'role-hint'});
  const select = h('select', {name: 'role', 'aria-describedby': 'role-hint', onchange: () => say()},
    ...ROLES.map((role) => h('option', {value: role, selected: role === chosen}, roleText(role))));
  const say = () => setText(hint, t(descriptions[select.value]));
  say();
  return {select, place: h('div', {class: 'stack tight'}, field(t('people.role'), select), hint)};
}

function nameInput(value = '') {
  return h('input', {name: 'name', required: true, maxlength: '100', autocomplete: 'off', value});
}

function refuse(text) {
  throw new api.Problem({code: 'checked', status: 400, detail: text});
}

/** Asks for a new person; `find(id)` is who has an id. Resolves to the person, or null. */
export function askNew({find, reload}) {
  const name = nameInput();
  const id = h('input', {name: 'id', required: true, maxlength: '64', autocomplete: 'off', autocapitalize: 'off',
    spellcheck: 'false'});
  let isOwn = false; // whether the user has written the id
  name.addEventListener('input', () => {
    if (!isOwn) id.value = proposedPersonId(name.value, (each) => find(each) !== undefined);
  });
  id.addEventListener('input', () => { isOwn = id.value !== ''; });
  const {select, place} = roleSelect('worker');
  let wasUnanswered = false;
  return openForm({
    title: t('people.add.title'),
    fields: [field(t('people.name'), name), field(t('people.id'), id, {hint: t('people.id_hint')}), place],
    yes: t('people.add'),
    explainProblem: explainPerson,
    async send() {
      const wanted = {id: id.value.trim(), name: name.value.trim(), role: select.value};
      if (!isPersonName(wanted.name)) refuse(t('people.bad_name'));
      if (!isPersonId(wanted.id)) refuse(t('people.bad_id'));
      const taken = (other) => refuse(t('people.taken', {id: wanted.id, name: other?.name ?? wanted.id}));
      if (!wasUnanswered && find(wanted.id)) taken(find(wanted.id));
      try {
        // Only adds: a person of whom this page does not know is not edited.
        const body = {name: wanted.name, role: wanted.role};
        return (await api.send('PUT', pathOf(wanted.id), {body, headers: {'If-None-Match': '*'}})).worker;
      } catch (problem) {
        if (problem.code !== 'version_mismatch') {
          wasUnanswered ||= problem.isUncertain;
          throw problem;
        }
        await reload();
        const found = find(wanted.id);
        // The request before this one, whose answer was lost, has added them.
        if (wasUnanswered && found?.name === wanted.name && found.role === wanted.role) return found;
        return taken(found);
      }
    },
  });
}

/** The box that must be ticked by who gives up their own rights. */
function ownRights({id}) {
  if (id !== session.current()?.worker.id) return null;
  const box = h('input', {type: 'checkbox', name: 'sure'});
  const place = h('div', {class: 'warning'}, h('p', {}, t('people.own_rights')),
    h('label', {class: 'sure'}, box, t('people.sure')));
  return {place, set(isNeeded) {
    place.hidden = !isNeeded;
    box.required = isNeeded;
  }};
}

/** Asks for another name and role; only what was changed is sent. */
export function askEdit(person) {
  const name = nameInput(person.name);
  const {select, place} = roleSelect(person.role);
  const warning = person.role === 'admin' ? ownRights(person) : null;
  const warn = () => warning?.set(select.value !== 'admin');
  select.addEventListener('change', warn);
  warn();
  return openForm({
    title: t('people.edit.title', {name: person.name}),
    fields: [field(t('people.name'), name), place, warning?.place],
    yes: t('people.save'),
    explainProblem: explainPerson,
    async send() {
      const wanted = {name: name.value.trim(), role: select.value};
      if (!isPersonName(wanted.name)) refuse(t('people.bad_name'));
      const body = Object.fromEntries(Object.entries(wanted).filter(([key, value]) => person[key] !== value));
      if (Object.keys(body).length === 0) return person;
      return (await api.send('PUT', pathOf(person.id), {body})).worker;
    },
  });
}

/** Asks, and disables or enables a person; the server keeps the last administrator. */
export function askDisabled(person) {
  const isOff = !person.disabled;
  const warning = isOff ? ownRights(person) : null;
  warning?.set(true);
  return openForm({
    title: t(isOff ? 'people.disable.title' : 'people.enable.title', {name: person.name}),
    fields: [h('p', {}, t(isOff ? 'people.disable.ends' : 'people.enable.means')), warning?.place],
    yes: t(isOff ? 'people.disable' : 'people.enable'),
    isDanger: isOff,
    explainProblem: explainPerson,
    send: async () => (await api.send('PUT', pathOf(person.id), {body: {disabled: isOff}})).worker,
  });
}

/** Asks, and ends the person's sessions on all devices. */
export function askSignOut(person) {
  const isSelf = person.id === session.current()?.worker.id;
  return openForm({
    title: t('people.sign_out.title', {name: person.name}),
    fields: [h('p', {}, t('people.sign_out.ends')), isSelf && h('p', {class: 'warning'}, t('people.sign_out.self'))],
    yes: t('people.sign_out'),
    isDanger: true,
    explainProblem: explainPerson,
    async send() {
      await api.send('DELETE', `${pathOf(person.id)}/sessions`);
      return true;
    },
  });
}
