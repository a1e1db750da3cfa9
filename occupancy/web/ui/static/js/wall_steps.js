// The strip of the wall with the number of items at each step: where work piles up.

import {byId, h, setText} from './dom.js';
import {number} from './i18n.js';
import {oneRow, Rotation} from './rotation.js';
import {onPage} from './wall_lists.js';

/** How many items stand at each of `steps`, in their order; a completed item stands at none. */
function countsAt(steps, items) {
  const counts = new Map(steps.map((step) => [step, 0]));
  for (const {step, state} of items) {
    if (state !== 'completed' && counts.has(step)) counts.set(step, counts.get(step) + 1);
  }
  return counts;
}

export class WallSteps {
  constructor(isPaged) {
    this.list = new Rotation(byId('steps'), {
      least: 7.5, tall: 3.4, layout: oneRow, isPaged,
      onPage: onPage(byId('steps-page')),
      make: () => h('li', {class: 'at'}, h('strong', {}), h('span', {class: 'word'})),
      write: (entry, {title, count}) => {
        setText(entry.querySelector('strong'), number(count));
        setText(entry.querySelector('.word'), title);
        entry.classList.toggle('zero', count === 0);
      },
    });
  }

  /** Shows the items of a board with these settings; nothing where it has one step. */
  show(settings, items) {
    const steps = settings.board?.steps ?? [];
    const isThere = steps.length > 1;
    document.body.classList.toggle('has-steps', isThere);
    byId('at-steps').hidden = !isThere;
    if (!isThere) return;
    const counts = countsAt(steps, items);
    this.list.show(steps.map((step) => ({title: settings.titleOf(step), count: counts.get(step)})));
  }

  turn() {
    this.list.turn();
  }
}
