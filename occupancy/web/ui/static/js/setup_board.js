// The step in which a plant's board gets its name and its steps.

import * as api from './api.js';
import {h} from './dom.js';
import {field} from './form_dialog.js';
import {t} from './i18n.js';
import {RESERVED, proposedBoardId} from './board_ids.js';
import {explainSetup} from './setup_refusals.js';
import {Step, stepForm} from './setup_step.js';

const MOST_STEPS = 32;
// What a step may be called (STEP_PATTERN in core/entities.py): it is its own id here.
const STEP = /^[\p{L}\p{N}][\p{L}\p{N}\p{M}_ .:/-]{0,31}$/u;

/** The step; `onMade(board)` is called with the id of the new board, and waited for. */
export function boardStep(onMade) {
  const title = h('input', {name: 'title', required: true, maxlength: '100', autocomplete: 'off', pattern: '.*\\S.*'});
  const steps = h('textarea', {name: 'steps', rows: '4', autocomplete: 'off', oninput: () => check()});
  const list = h('ul', {class: 'plain'});

  function check() {
    const names = stepsIn(steps.value);
    const wrong = names.find((each) => !STEP.test(each));
    const isTwice = new Set(names).size < names.length;
    steps.setCustomValidity(wrong ? t('setup.board.bad_step', {step: wrong})
      : isTwice ? t('setup.board.step_twice') : names.length > MOST_STEPS ? t('setup.board.many_steps') : '');
  }

  const form = stepForm({
    fields: [
      field(t('setup.board.title'), title, {hint: t('setup.board.title_hint')}),
      field(t('setup.board.steps'), steps, {hint: t('setup.board.steps_hint')}),
    ],
    yes: t('setup.board.create'), explainProblem: explainSetup,
    async send() {
      const name = title.value.trim();
      const names = stepsIn(steps.value);
      const {boards} = await api.get('/api/boards');
      // An earlier request may have made it, and its answer got lost.
      const same = boards.find((each) => each.title === name && each.steps.join('\n') === (names.join('\n') || 'work'));
      const board = same?.board ?? newId(name, boards.map((each) => each.board));
      if (!same) {
        await api.send('POST', '/api/boards', {body: {board, title: name, ...(names.length > 0 && {steps: names})}});
      }
      await setTimeZone(board);
      form.reset();
      await onMade(board);
    },
  });
  return new Step({
    id: 'step-board', title: t('setup.board.name'), intro: t('setup.board.intro'), parts: [list, form],
    isDone: ({board}) => board !== null,
    status: ({boards}) => boards.map((each) => each.title).join(', '),
    update: ({boards}) => {
      list.hidden = boards.length === 0;
      list.replaceChildren(...boards.map((each) => h('li', {}, h('a', {href: `/boards/${each.board}/settings`},
        t('setup.board.settings', {board: each.title})))));
    },
  });
}

/** The plant's day begins when it does where the administrator sits; the board's settings have another. */
async function setTimeZone(board) {
  const {timeZone} = new Intl.DateTimeFormat().resolvedOptions();
  try {
    await api.send('PATCH', `/api/boards/${board}`, {body: {time_zone: timeZone}});
  } catch (problem) {
    if (problem.code !== 'invalid_request') throw problem;
    // The server does not know the name that the browser gives to its zone: the board keeps UTC.
  }
}

function stepsIn(text) {
  return text.split(/[\n,;]/).map((each) => each.trim()).filter(Boolean);
}

function newId(title, ids) {
  const taken = [...ids, RESERVED];
  return proposedBoardId(title, taken) || proposedBoardId('board', taken);
}
