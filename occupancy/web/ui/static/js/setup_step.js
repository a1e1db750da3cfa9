// The list of steps of setting a plant up. Whether a step is done is derived from what is there, so the
// list can be left and come back to. Each step can be skipped, and opened again.

import {fill, h, setText} from './dom.js';
import {t} from './i18n.js';
import {sendingForm} from './sending_form.js';

/** A step: `isDone(plant)`, `status(plant)` says what is there, `parts` are its body, `update(plant)` draws it. */
export class Step {
  constructor({id, title, intro, parts, isDone, status, update = () => {}}) {
    Object.assign(this, {isDone, status, updateParts: update});
    this.mark = h('span', {class: 'step-mark', 'aria-hidden': 'true'});
    this.state = h('span', {class: 'unseen'});
    this.said = h('span', {class: 'soft'});
    this.summary = h('summary', {}, this.mark, h('span', {class: 'step-title'}, h('span', {}, title), this.said),
      this.state);
    this.next = h('button', {type: 'button'});
    // A group of one name: opening a step closes the others, which keep what was typed.
    this.details = h('details', {name: 'setup-steps', id}, this.summary,
      h('div', {class: 'step-body stack'}, h('p', {}, intro), ...parts, h('p', {class: 'buttons'}, this.next)));
    this.element = h('li', {class: 'setup-step'}, this.details);
  }

  update(plant) {
    const isDone = this.isDone(plant);
    this.element.classList.toggle('done', isDone);
    setText(this.mark, isDone ? '✓' : '');
    setText(this.state, t(isDone ? 'setup.done' : 'setup.not_done'));
    setText(this.said, this.status(plant));
    setText(this.next, t(isDone ? 'setup.next' : 'setup.skip'));
    this.updateParts(plant);
  }
}

/** The list of the steps; `update(plant)` draws all, and at first opens the first that is not done. */
export class Steps {
  constructor(steps) {
    this.steps = steps;
    this.progress = h('p', {class: 'soft', role: 'status'});
    this.element = h('div', {}, this.progress, h('ol', {class: 'steps'}, ...steps.map((each) => each.element)));
    steps.forEach((each, place) => {
      if (place === steps.length - 1) each.next.hidden = true;
      else each.next.addEventListener('click', () => this.open(steps[place + 1]));
    });
    this.isNew = true;
  }

  update(plant) {
    for (const each of this.steps) each.update(plant);
    const count = this.steps.filter((each) => each.isDone(plant)).length;
    setText(this.progress, t('setup.progress', {count, of: this.steps.length}));
    if (!this.isNew) return;
    this.isNew = false;
    (this.steps.find((each) => !each.isDone(plant)) ?? this.steps.at(-1)).details.open = true;
  }

  /** Opens a step and puts the focus on it. */
  open(step) {
    step.details.open = true;
    step.summary.focus();
    step.summary.scrollIntoView({block: 'nearest'});
  }
}

/** A form in a step: it stays as it is when it is refused, and says why. */
export function stepForm(parts) {
  const form = sendingForm(parts);
  form.classList.add('stack');
  return form;
}

/** Shows either the parts that need a board, or that there is none yet. */
export function needsBoard(...parts) {
  const none = h('p', {class: 'soft'}, t('setup.no_board_yet'));
  const place = h('div', {class: 'stack'});
  return {element: place, update: ({board}) => {
    const wanted = board ? parts : [none];
    if (place.firstChild !== wanted[0]) fill(place, ...wanted); // what has the focus stays where it is
  }};
}
