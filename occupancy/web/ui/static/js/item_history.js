// The history of one item and the work on it, as the server has told them so far.

import {serverNow} from './clock.js';
import {byId, fill, h, setText} from './dom.js';
import {duration, moment, number, t} from './i18n.js';
import {nameOf} from './person_name.js';
import {isAdded, transitionOf} from './transitions.js';
import {workOf} from './worked_time.js';

const isEdit = (event) => transitionOf(event)?.target === 'edited';

export class ItemHistory {
  /** `titleOf(step)` is what the board calls a step. */
  constructor(titleOf) {
    this.titleOf = titleOf;
    this.load(null);
  }

  /** Begins anew with a page of the API, or with nothing; draw() shows it. */
  load(page) {
    this.events = page?.history ?? []; // newest first
    this.next = page?.next ?? null;
  }

  /** Adds an older page. */
  append({history, next}) {
    this.events.push(...history);
    this.next = next;
    this.draw();
  }

  /** Adds an event that has just happened. */
  add(event) {
    if (!this.events.some((each) => each.seq === event.seq)) this.events.unshift(event);
    this.draw();
  }

  draw() {
    this.#drawPart();
    byId('about').hidden = this.events.length === 0;
    byId('older').hidden = this.next === null;
    fill(byId('history'), ...this.events.map((event, index) => h('li', {class: event.item.state},
      h('p', {class: 'when'}, h('time', {datetime: event.at}, moment(event.at)), this.#lasted(event, index)),
      h('span', {class: `mark ${event.item.state}`, 'aria-hidden': 'true'}),
      h('p', {}, t(`history.${event.type}`, {actor: nameOf(event.actor), holder: event.item.holder?.name ?? ''}),
        this.#stepOf(event, index) !== 'work'
          && h('span', {class: 'step'}, this.titleOf(this.#stepOf(event, index))),
        event.item.reason && h('span', {class: 'reason'}, event.item.reason)))));
    const work = workOf(this.events, serverNow());
    fill(byId('work'), this.events.length > 0 && h('tbody', {}, ...(work.length === 0
      ? [h('tr', {}, h('td', {}, t('item.no_work')))]
      : work.map((each) => this.#workRow(each)))));
  }

  /** Updates the clocks. */
  tick() {
    for (const each of byId('work').querySelectorAll('.running')) {
      setText(each, duration((serverNow() - Number(each.dataset.from)) / 1000));
    }
  }

  #workRow({step, worker, seconds, isRunning}) {
    return h('tr', {},
      h('th', {scope: 'row'}, worker), h('td', {}, this.titleOf(step)),
      h('td', {class: 'number'},
        h('span', isRunning ? {class: 'running', 'data-from': serverNow() - 1000 * seconds} : {}, duration(seconds)),
        isRunning ? ` ${t('item.running')}` : ''));
  }

  /** Says which part of the history the table covers: the rest is not loaded, or not kept. */
  #drawPart() {
    const {events, next} = this;
    const isTrimmed = next === null && events.length > 0 && !isAdded(events.at(-1));
    byId('part').hidden = next === null && !isTrimmed;
    setText(byId('part'), isTrimmed ? t('item.trimmed') : t('item.partial', {count: number(events.length)}));
  }

  /** The step that an event is about; after a completion the item is already at the next one. */
  #stepOf(event, index) {
    const before = transitionOf(event)?.target === 'advance' ? this.events[index + 1] : undefined;
    return (before ?? event).item.step;
  }

  /** How long the state after an event lasted; '' if it still lasts, or for an edit. */
  #lasted(event, index) {
    const later = this.events.slice(0, index).findLast((each) => !isEdit(each));
    if (!later || isEdit(event)) return '';
    return `· ${duration((Date.parse(later.at) - Date.parse(event.at)) / 1000)}`;
  }
}
