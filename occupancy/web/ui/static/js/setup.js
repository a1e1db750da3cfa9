// Set up: the first administrator's PIN, then the choice between the own plant and the sample, then the steps.
//
// What is shown follows from what is there; only the choice of the own plant, before anything is there,
// stands in the address.

import * as api from './api.js';
import {byId, fill, h} from './dom.js';
import {field} from './form_dialog.js';
import {t} from './i18n.js';
import {startManaged} from './managed_page.js';
import {explain} from './refusal_text.js';
import * as session from './session.js';
import {boardStep} from './setup_board.js';
import {itemsStep, peopleStep, printStep, takeStep, wallStep} from './setup_plant.js';
import {isSampleThere, loadButton, SamplePanel} from './setup_sample.js';
import {stepForm, Steps} from './setup_step.js';

const PLANT = '#plant';
const PIN = /^(\d{4,12}|(?!\d+$).{8,200})$/su;

let parts = null;
let chosen = null; // the board that the steps are about
let shown = null;

/** Whether a board is the plant's own: neither the sample's, nor the one that exists without having been made. */
function isOwn(board, sample) {
  if (board.board === sample.board) return false;
  return board.board !== 'main' || board.title !== 'main' || board.steps.join() !== 'work'
    || Object.values(board.counts).some((count) => count > 0);
}

async function load(isCurrent) {
  const [{workers}, {boards}, {tokens}, sample] = await Promise.all(
    ['/api/workers', '/api/boards', '/api/tokens', '/api/sample'].map((path) => api.get(path)));
  if (!isCurrent()) return;
  const me = session.current().worker.id;
  const people = new Map(workers.map((each) => [each.id, each]));
  const ofTokens = new Set(tokens.map((each) => each.worker));
  const own = boards.filter((each) => isOwn(each, sample));
  // Without programs and wall screens: they have tokens and no PIN.
  const staff = workers.filter((each) => each.id !== me && !each.disabled && !sample.workers.includes(each.id)
    && (each.has_pin || !ofTokens.has(each.id)));
  show({
    people, staff, tokens, sample, boards: own, hasPin: people.get(me)?.has_pin ?? true,
    board: own.find((each) => each.board === chosen) ?? own[0] ?? null,
  });
}

function show(plant) {
  parts ??= makeParts();
  const isEmpty = plant.boards.length === 0 && plant.staff.length === 0 && !isSampleThere(plant.sample);
  const name = !plant.hasPin ? 'pin' : isEmpty && location.hash !== PLANT ? 'choice' : 'plant';
  if (name === 'plant') parts.update(plant);
  if (name === shown) return;
  const isFirst = shown === null;
  shown = name;
  fill(byId('managed'), ...parts[name]);
  byId('managed').hidden = false; // what is hidden takes no focus
  if (!isFirst || name === 'pin') parts.focus[name].focus();
}

function makeParts() {
  const pin = pinForm();
  const [sampleButton, said] = loadButton(t('setup.choice.sample'), reload);
  const choiceTitle = h('h2', {tabindex: '-1'}, t('setup.choice.title'));
  const choice = [choiceTitle, h('div', {class: 'choices'},
    h('section', {class: 'panel stack'}, h('h3', {}, t('setup.choice.plant_title')),
      h('p', {}, t('setup.choice.plant_text')),
      h('div', {class: 'buttons'}, h('button', {type: 'button', class: 'primary', onclick: () => {
        history.pushState(null, '', PLANT);
        reload();
      }}, t('setup.choice.plant')))),
    h('section', {class: 'panel stack'}, h('h3', {}, t('setup.choice.sample_title')),
      h('p', {}, t('setup.sample.what')), h('div', {class: 'buttons'}, sampleButton), said))];

  const sample = new SamplePanel(reload);
  const steps = new Steps([
    boardStep(async (board) => {
      chosen = board;
      await reload();
      steps.open(steps.steps[1]);
    }),
    itemsStep(reload), peopleStep(reload), printStep(), wallStep(reload), takeStep(),
  ]);
  const select = h('select', {onchange: () => {
    chosen = select.value;
    reload();
  }});
  const about = h('p', {hidden: true}, h('label', {}, t('setup.which_board'), select));
  const title = h('h2', {tabindex: '-1'}, t('setup.steps_title'));
  return {
    pin: [pin], choice, plant: [sample.element, title, about, steps.element],
    focus: {pin: pin.querySelector('[type=password]'), choice: choiceTitle, plant: title},
    update(plant) {
      sample.update(plant);
      about.hidden = plant.boards.length < 2;
      fill(select, ...plant.boards.map((each) => h('option', {value: each.board, selected: each === plant.board},
        each.title)));
      steps.update(plant);
    },
  };
}

/** The form that sets the first PIN. The answer to it is a new session, as its PIN ends the old one. */
function pinForm() {
  const pin = h('input', {name: 'pin', type: 'password', autocomplete: 'new-password', required: true,
    oninput: () => pin.setCustomValidity(PIN.test(pin.value) ? '' : t('pin.refused'))});
  const form = stepForm({
    fields: [
      h('input', {type: 'text', name: 'username', autocomplete: 'username', class: 'unseen', tabindex: '-1',
        'aria-hidden': 'true', value: session.current().worker.id}),
      h('p', {}, t('setup.pin.id', {id: session.current().worker.id})),
      field(t('pin.new'), pin),
    ],
    yes: t('pin.set'),
    async send() {
      try {
        await api.send('PUT', '/api/session/pin', {body: {new_pin: pin.value}});
      } finally {
        // The new session has a new token. After a lost answer this says whether the PIN is set.
        await session.load().catch(() => {});
        await reload();
      }
    },
    explainProblem: (problem) => (problem.code === 'invalid_request' ? t('setup.pin.obvious')
      : problem.isUncertain ? t('setup.pin.perhaps') : explain(problem)),
  });
  return h('section', {class: 'panel narrow'}, h('h2', {}, t('setup.pin.title')), h('p', {}, t('setup.pin.why')), form);
}

function clear() {
  parts = null;
  shown = null;
  fill(byId('managed'));
}

const reload = startManaged('admin', {load, clear});
addEventListener('popstate', () => { if (parts) reload(); });
