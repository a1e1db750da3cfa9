// The filter bar: what the list shows, and how many items there are of each kind.
//
// Its counts change with nearly every event. So each has a size of its own, by the number of its characters, and the
// browser lays out nothing else for another digit (app.css).

import {byId, fill, h, setAttribute, setHidden, setText} from './dom.js';
import {NONE} from './filter.js';
import {number, t} from './i18n.js';
import {STATES} from './model.js';
import {describe, situationOf} from './situation.js';

export class FilterBar {
  /**
   * `filter` is the view that it changes (filter.js). `onChange()` is called when the user has changed it, and
   * `onLeave()` when they go from the search into what it has found.
   */
  constructor(filter, {settings, onChange, onLeave}) {
    Object.assign(this, {filter, settings, onChange});
    this.drawn = '';
    this.buttons = ['', ...STATES].map((state) => this.#button(state));
    byId('states').append(...this.buttons.map(({button}) => button));
    byId('mine').addEventListener('click', () => this.#change({mine: !filter.mine}));
    byId('step').addEventListener('change', ({target}) => this.#change({step: target.value, mine: false}));
    byId('clear').addEventListener('click', () => this.clear());
    document.querySelector('.filters').addEventListener('submit', (event) => event.preventDefault());
    this.search = byId('search');
    this.search.value = filter.text;
    this.search.addEventListener('input', () => this.#change({text: this.search.value}));
    this.search.addEventListener('keydown', (event) => {
      if (event.key === 'ArrowDown' && onLeave()) event.preventDefault();
    });
  }

  clear() {
    this.#change(NONE);
  }

  #change(fields) {
    Object.assign(this.filter, fields);
    if (this.search.value !== this.filter.text) this.search.value = this.filter.text;
    this.onChange();
  }

  #button(state) {
    const digits = h('span', {class: 'digits'});
    const button = h('button', {
      type: 'button', 'data-state': state, 'aria-pressed': 'false',
      onclick: () => this.#change({
        state: this.filter.state === state && !this.filter.mine ? '' : state, mine: false}),
    }, h('span', {class: `mark ${state}`, 'aria-hidden': 'true'}), t(`state.${state || 'all'}`), ' ',
    h('span', {class: 'count'}, digits));
    return {state, button, digits};
  }

  offerSteps(steps) {
    const {filter, settings} = this;
    fill(byId('step'), h('option', {value: ''}, t('filter.all_steps')),
      ...steps.map((step) => h('option', {value: step, selected: step === filter.step}, settings.titleOf(step))));
    byId('step').parentElement.hidden = steps.length < 2;
  }

  /**
   * Draws it: `counts` by state, `known` items, `count` of them shown; `situation` is the rest of what
   * situation.js reads.
   */
  draw({counts, known, count, isLoaded, ...situation}) {
    const {filter, settings} = this;
    for (const each of this.buttons) {
      const value = isLoaded && (each.state ? counts[each.state] : known);
      if (value === each.value) continue; // formatting a number is slow
      each.value = value;
      setDigits(each.digits, value === false ? '' : number(value));
    }
    const drawn = JSON.stringify([known, count, filter, isLoaded, situation, settings.board?.settings.version]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    for (const {state, button} of this.buttons) {
      setAttribute(button, 'aria-pressed', String(!filter.mine && filter.state === state));
    }
    setAttribute(byId('mine'), 'aria-pressed', String(filter.mine));
    setText(byId('shown'), describe(situationOf({isLoaded, known, count, ...situation}), {count, filter, settings}));
    setHidden(byId('clear'), !isLoaded || !(filter.state || filter.step || filter.mine || filter.text));
  }
}

function setDigits(element, text) {
  if (element.textContent.length !== text.length) element.style.setProperty('--characters', text.length);
  setText(element, text);
}
