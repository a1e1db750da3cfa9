// A new board: title, id and steps.

import * as api from './api.js';
import {h, setText} from './dom.js';
import {field, openForm} from './form_dialog.js';
import {t} from './i18n.js';
import {RESERVED, isBoardId, proposedBoardId} from './board_ids.js';
import {explain} from './refusal_text.js';
import {MOST, problemsOfSteps, stepsOf} from './settings_draft.js';
import {StepEditor} from './step_editor.js';
import {textProblem} from './text_rules.js';

/** Asks for a board and creates it; the board, or null. `taken` are the ids that there are. */
export function askNewBoard(taken) {
  let isTyped = false;
  let sent = null; // a request whose answer was lost
  const wrong = {title: h('p', {class: 'said', role: 'alert'}), id: h('p', {class: 'said', role: 'alert'})};
  const id = h('input', {name: 'board', maxlength: '32', autocomplete: 'off', autocapitalize: 'off',
    spellcheck: 'false', oninput: () => {
      isTyped = id.value !== '';
      check();
    }});
  const title = h('input', {name: 'title', maxlength: MOST.title, autocomplete: 'off', oninput: () => {
    setText(wrong.title, '');
    if (!isTyped) id.value = proposedBoardId(title.value, [...taken, RESERVED]);
    check();
  }});
  const steps = new StepEditor({least: 0, onChange: () => {}});

  function idProblem() {
    const board = id.value.trim();
    if (!isBoardId(board)) return t('boards.id_wrong');
    if (board === RESERVED) return t('boards.id_reserved', {board});
    return taken.includes(board) && sent === null ? t('boards.id_taken', {board}) : '';
  }
  function check() {
    setText(wrong.id, id.value === '' ? '' : idProblem());
  }
  function mark(control, text) {
    if (text) control.setAttribute('aria-invalid', 'true');
    else control.removeAttribute('aria-invalid');
    return text ? control : null;
  }

  async function send() {
    const code = textProblem(title.value);
    setText(wrong.title, code ? t(`settings.wrong.${code}`) : '');
    setText(wrong.id, idProblem());
    const values = steps.values();
    const first = [mark(title, wrong.title.textContent), mark(id, wrong.id.textContent),
      steps.show(problemsOfSteps(values))].find(Boolean);
    if (first) {
      first.focus();
      throw new api.Problem({code: 'wrong', status: 0});
    }
    const body = {board: id.value.trim(), title: title.value.trim()};
    const given = stepsOf(values);
    if (given.length > 0) body.steps = given;
    const text = JSON.stringify(body);
    try {
      return await api.send('POST', '/api/boards', {body});
    } catch (problem) {
      if (problem.code === 'already_exists' && sent === text) {
        const found = await api.get(`/api/boards/${body.board}`);
        if (found.title === body.title) return found; // the lost answer was that it is created
      }
      if (problem.isUncertain) sent = text;
      throw problem;
    }
  }

  return openForm({
    title: t('boards.new'),
    fields: [
      h('div', {}, field(t('settings.title'), title), wrong.title),
      h('div', {}, field(t('boards.id'), id, {hint: t('boards.id_hint')}), wrong.id),
      h('fieldset', {}, h('legend', {}, t('settings.field.steps')),
        h('p', {class: 'hint'}, t('boards.steps_hint')), steps.element),
    ],
    yes: t('boards.create'),
    send,
    explainProblem(problem) {
      if (problem.code === 'wrong') return t('settings.wrong_somewhere');
      if (problem.code === 'already_exists') return t('boards.exists', {board: id.value.trim()});
      if (problem.code === 'invalid_request') return t('boards.not_accepted');
      return problem.code === 'unreachable' ? t('boards.uncertain') : explain(problem);
    },
  });
}
