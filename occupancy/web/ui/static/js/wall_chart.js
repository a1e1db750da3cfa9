// The charts of the wall: the items in hand, and the steps completed by the hour.
//
// It keeps the points of one timeline, and at most 5000 completions that came after it.

import {serverNow} from './clock.js';
import {byId, h, setText} from './dom.js';
import {locale, number, sinceTime, t, tn} from './i18n.js';
import {Plot} from './plot.js';
import {chartOf, completedPerHour, completedToday, countsOf, hoursBetween, readTimeline} from './timeline.js';

const MOST_COMPLETIONS = 5000;
const IN_HAND = ['occupied', 'paused', 'blocked'];
const HOUR_MS = 3600 * 1000;

const short = new Intl.DateTimeFormat(locale, {timeStyle: 'short'});
const hour = new Intl.DateTimeFormat(locale, {hour: 'numeric'});

export class WallChart {
  constructor() {
    this.inHand = new Plot({series: [
      {name: 'occupied', kind: 'stack'},
      {name: 'paused', kind: 'stack', hatched: 45},
      {name: 'blocked', kind: 'stack', hatched: -45},
    ], format: number});
    this.completed = new Plot({series: [{name: 'completed', kind: 'bar'}], format: number, isBare: true});
    byId('in-hand').append(this.inHand.element);
    byId('completed').append(this.completed.element);
    byId('legend').append(...IN_HAND.map((state) => (
      h('span', {class: 'state'}, h('span', {class: `mark ${state}`, 'aria-hidden': 'true'}), t(`state.${state}`)))));
    this.clear();
  }

  clear() {
    this.timeline = []; // points; the last is of the time of the request
    this.seq = 0;
    this.completions = []; // {seq, count: 1 or -1} of completions that may have come after it
  }

  /** Takes the API's timeline. */
  load(answer) {
    this.timeline = readTimeline(answer);
    this.seq = answer.seq;
    this.completions = this.completions.filter(({seq}) => seq > this.seq);
  }

  /** Notes a completion, or with -1 that one was undone. */
  count(seq, count) {
    this.completions = [...this.completions.slice(1 - MOST_COMPLETIONS), {seq, count}];
  }

  /** Draws up to now; `counts` are those of `shownMs`, the time of the displayed data. */
  draw(counts, shownMs) {
    const to = serverNow();
    const points = this.timeline.length === 0 ? [] : [...this.timeline, {
      at: Math.max(shownMs, this.timeline.at(-1).at), counts,
      completions: this.completions.filter(({seq}) => seq > this.seq)
        .reduce((sum, {count}) => sum + count, this.timeline.at(-1).completions),
    }];
    const {from, isWhole} = chartOf(points, to);
    const title = isWhole ? t('wall.since', {since: sinceTime(from)})
      : t('wall.day', {hours: number(Math.round((to - from) / HOUR_MS))});
    setText(byId('day-title'), title);
    const ticks = hoursBetween(from, to, to - from > 6 * HOUR_MS ? 2 : 1).map((at) => ({at, text: hour.format(at)}));
    const words = IN_HAND.map((state) => `${t(`state.${state}`)} ${number(counts[state])}`).join(', ');
    this.inHand.draw({from, to, ticks, rows: countsOf(points, IN_HAND, from), least: 3, label: `${title}: ${words}`});
    const today = completedToday(points, to);
    const said = today === null ? ''
      : today.isWhole ? tn('wall.today', today.count)
        : tn('wall.completed_since', today.count, {since: short.format(today.since)});
    setText(byId('today'), said);
    this.completed.draw({from, to, ticks, rows: completedPerHour(points, from, to), least: 3,
      label: `${t('wall.completed')}: ${said}`});
  }
}
