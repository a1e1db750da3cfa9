// The steps after the board: items, people, what is printed, the wall screen, and the first item taken.

import * as api from './api.js';
import {itemsOf} from './board_settings.js';
import {announce, fill, h} from './dom.js';
import {field} from './form_dialog.js';
import {t, tn} from './i18n.js';
import {proposedPersonId} from './person_ids.js';
import {isWall} from './programs_tokens.js';
import {openWallForm, wallPanel} from './programs_walls.js';
import {explainSetup} from './setup_refusals.js';
import {needsBoard, Step, stepForm} from './setup_step.js';

const TAG = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;

function itemCount(board) {
  return Object.values(board.counts).reduce((sum, each) => sum + each, 0);
}

function link(text) {
  return h('a', {class: 'button'}, text);
}

export function itemsStep(reload) {
  let board = null;
  const toImport = link(t('setup.items.import'));
  const toAll = link(t('setup.items.all'));
  const tag = h('input', {name: 'tag', required: true, maxlength: '64', autocomplete: 'off', autocapitalize: 'off',
    spellcheck: 'false', oninput: () => {
      tag.setCustomValidity(TAG.test(tag.value.trim()) ? '' : t('setup.items.bad_tag'));
    }});
  const title = h('input', {name: 'title', maxlength: '200', autocomplete: 'off'});
  const form = stepForm({
    fields: [field(t('setup.items.tag'), tag, {hint: t('setup.items.tag_hint')}), field(t('setup.items.title'), title)],
    yes: t('setup.items.add'), explainProblem: explainSetup,
    async send() {
      const code = tag.value.trim();
      const text = title.value.trim();
      await api.send('PUT', `/api/boards/${board.board}/items/${encodeURIComponent(code)}`,
        {body: text ? {title: text} : {}});
      form.reset();
      await reload();
      announce(t('setup.items.added', {tag: code}));
      tag.focus();
    },
  });
  const parts = needsBoard(h('div', {class: 'buttons'}, toImport, toAll), h('h3', {}, t('setup.items.one')), form);
  return new Step({
    id: 'step-items', title: t('setup.items.name'), intro: t('setup.items.intro'), parts: [parts.element],
    isDone: (plant) => plant.board !== null && itemCount(plant.board) > 0,
    status: (plant) => (plant.board && itemCount(plant.board) > 0
      ? itemsOf(plant.board.item_name, itemCount(plant.board)) : ''),
    update(plant) {
      ({board} = plant);
      parts.update(plant);
      if (!board) return;
      toImport.href = `/boards/${board.board}/import`;
      toAll.href = `/boards/${board.board}/items`;
      toAll.hidden = itemCount(board) === 0;
    },
  });
}

export function peopleStep(reload) {
  let people = new Map();
  let sent = null; // the id of a person who was sent: sending again makes no second one
  const name = h('input', {name: 'name', required: true, maxlength: '100', autocomplete: 'off', pattern: '.*\\S.*'});
  const role = h('select', {name: 'role'}, ...['worker', 'supervisor', 'admin', 'observer'].map((each) => (
    h('option', {value: each}, t(`role.${each}`)))));
  const list = h('ul', {class: 'plain'});
  const form = stepForm({
    fields: [field(t('setup.people.full_name'), name), field(t('setup.people.role'), role,
      {hint: t('setup.people.role_hint')})],
    yes: t('setup.people.add'), explainProblem: explainSetup,
    async send() {
      const text = name.value.trim();
      if (sent?.text !== text) sent = {text, id: proposedPersonId(text, (each) => people.has(each), 'worker')};
      await api.send('PUT', `/api/workers/${sent.id}`, {body: {name: text, role: role.value}});
      const {id} = sent;
      sent = null;
      form.reset();
      await reload();
      announce(t('setup.people.added', {name: text, id}));
      name.focus();
    },
  });
  return new Step({
    id: 'step-people', title: t('setup.people.name'), intro: t('setup.people.intro'),
    parts: [list, form,
      h('div', {class: 'buttons'}, h('a', {class: 'button', href: '/people'}, t('setup.people.all')))],
    isDone: (plant) => plant.staff.length > 0,
    status: (plant) => (plant.staff.length > 0 ? tn('setup.people.count', plant.staff.length) : ''),
    update(plant) {
      ({people} = plant);
      list.hidden = plant.staff.length === 0;
      fill(list, ...plant.staff.map((each) => h('li', {}, h('bdi', {}, each.name), ' ',
        h('span', {class: 'soft'}, t('setup.people.signs_in_as', {id: each.id, role: t(`role.${each.role}`)})))));
    },
  });
}

export function printStep() {
  const toLabels = link(t('setup.print.labels'));
  const labels = needsBoard(h('div', {class: 'buttons'}, toLabels));
  return new Step({
    id: 'step-print', title: t('setup.print.name'), intro: t('setup.print.intro'),
    parts: [
      isLoopback(location.hostname) && h('p', {class: 'notice'}, t('setup.print.loopback', {origin: location.origin})),
      h('div', {class: 'buttons'}, h('a', {class: 'button', href: '/people/cards#pin'}, t('setup.print.pins'))),
      h('p', {}, t('setup.print.labels_intro')), labels.element],
    isDone: (plant) => plant.staff.some((each) => each.has_pin),
    status: (plant) => {
      const count = plant.staff.filter((each) => each.has_pin).length;
      return count > 0 ? tn('setup.print.with_pin', count) : '';
    },
    update(plant) {
      labels.update(plant);
      if (plant.board) toLabels.href = `/boards/${plant.board.board}/labels`;
    },
  });
}

/** Whether no other machine can open an address with this host name. */
function isLoopback(host) {
  return host === 'localhost' || host === '[::1]' || host.startsWith('127.');
}

export function wallStep(reload) {
  let plant = null;
  // In a tab of its own: the wall has no way back.
  const look = h('a', {class: 'button', target: '_blank'}, t('setup.wall.look'));
  const made = h('div', {hidden: true});
  const button = h('button', {type: 'button', class: 'primary', async onclick() {
    const answer = await openWallForm(plant, plant.board.board);
    if (!answer) return;
    fill(made, wallPanel(answer));
    made.hidden = false;
    await reload();
    made.querySelector('input').focus();
  }}, t('programs.walls.make'));
  const parts = needsBoard(h('div', {class: 'buttons'}, button, look,
    h('a', {class: 'button', href: '/programs#walls'}, t('setup.wall.all'))), made);
  return new Step({
    id: 'step-wall', title: t('setup.wall.name'), intro: t('setup.wall.intro'), parts: [parts.element],
    isDone: (found) => found.board !== null && wallsOf(found) > 0,
    status: (found) => (found.board && wallsOf(found) > 0 ? tn('setup.wall.count', wallsOf(found)) : ''),
    update(found) {
      plant = found;
      parts.update(found);
      if (found.board) look.href = `/boards/${found.board.board}/wall`;
    },
  });
}

function wallsOf({tokens, board}) {
  return tokens.filter((each) => isWall(each) && each.board === board.board && !each.expired).length;
}

export function takeStep() {
  const toBoard = h('a', {class: 'button go'}, t('setup.take.go'));
  const parts = needsBoard(h('div', {class: 'buttons'}, toBoard));
  return new Step({
    id: 'step-take', title: t('setup.take.name'), intro: t('setup.take.intro'), parts: [parts.element],
    isDone: ({board}) => board !== null && board.counts.occupied + board.counts.paused + board.counts.completed > 0,
    status: () => '',
    update(plant) {
      parts.update(plant);
      if (plant.board) toBoard.href = `/boards/${plant.board.board}`;
    },
  });
}
