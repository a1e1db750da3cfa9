// What a wallboard shows of its board: counts, holders, stops, steps and charts.

import {byId, h, setText} from './dom.js';
import {locale, number, t} from './i18n.js';
import {STATES} from './model.js';
import {stopsOf} from './stops.js';
import {WallChart} from './wall_chart.js';
import {holdersList, stopsList, tick} from './wall_lists.js';
import {WallSteps} from './wall_steps.js';

const DRAW_MS = 250; // a batch of fifty is drawn as one change
const isPaged = () => !matchMedia('(max-width: 50rem)').matches;

export class WallView {
  /** `shownMs()` is the time of the displayed data, and `isLive()` whether its clocks go on. */
  constructor({model, settings, shownMs, isLive}) {
    Object.assign(this, {model, settings, shownMs, isLive});
    const tickNow = (entry) => this.#tickEntry(entry);
    this.holders = holdersList({settings, shownMs, tickNow, isPaged});
    this.stops = stopsList({tickNow, isPaged});
    this.steps = new WallSteps(isPaged);
    this.chart = new WallChart();
    this.counts = new Map(STATES.map((state) => {
      const count = h('strong', {});
      byId('counts').append(h('li', {class: state}, count,
        h('span', {class: `mark ${state}`, 'aria-hidden': 'true'}), h('span', {class: 'word'}, t(`state.${state}`))));
      return [state, count];
    }));
  }

  drawSoon() {
    this.timer ??= setTimeout(() => this.draw(), DRAW_MS);
  }

  draw() {
    clearTimeout(this.timer);
    this.timer = undefined;
    const {model} = this;
    for (const [state, count] of Object.entries(model.counts())) setText(this.counts.get(state), number(count));
    const items = [...model.items.values()];
    const held = items.filter(({holder}) => holder);
    // In the order of names, so that each worker stays in the same place.
    held.sort((one, other) => one.holder.name.localeCompare(other.holder.name, locale)
      || Date.parse(one.since) - Date.parse(other.since));
    this.holders.show(held);
    byId('no-holders').hidden = held.length > 0;
    const stopped = stopsOf(items);
    this.stops.show(stopped);
    byId('no-still').hidden = stopped.length > 0;
    this.steps.show(this.settings, items);
    this.chart.draw(model.counts(), this.shownMs());
  }

  /** Updates the clocks. */
  tick() {
    document.querySelectorAll('.entry').forEach((entry) => this.#tickEntry(entry));
  }

  /** Turns the pages of all lists that have several. */
  turn() {
    this.holders.turn();
    this.stops.turn();
    this.steps.turn();
  }

  #tickEntry(entry) {
    tick(entry, this.shownMs(), this.isLive());
  }
}
