// The lists of the wall: who holds what, and which reasons stop how many items.

import {byId, h, setText} from './dom.js';
import {duration, locale, number, t} from './i18n.js';
import {Rotation} from './rotation.js';
import {splitTag} from './tag_parts.js';

const FRESH_S = 20;
const MOST_TAGS = 40; // of one reason

const short = new Intl.DateTimeFormat(locale, {timeStyle: 'short'});
const shortWithDay = new Intl.DateTimeFormat(locale, {weekday: 'short', hour: 'numeric', minute: '2-digit'});

/** Writes the page into `element`, if there are more than one. */
export const onPage = (element) => (page, pages) => {
  setText(element, pages > 1 ? t('wall.page', {page: number(page), of: number(pages)}) : '');
};

/** Shows how long an entry has been so, at `nowMs`; `isLive` is false where that time stands still. */
export function tick(entry, nowMs, isLive) {
  const {since, newest, count} = entry.dataset;
  const time = duration((nowMs - Date.parse(since)) / 1000);
  setText(entry.querySelector('.long'), count ? t('wall.stopped', {count, time}) : time);
  entry.classList.toggle('fresh', isLive && nowMs - Date.parse(newest) < FRESH_S * 1000);
}

function tagPlace() {
  return h('span', {class: 'tag'}, h('span', {class: 'head'}), h('span', {class: 'tail'}));
}

function writeTag(place, tag) {
  const [head, tail] = splitTag(tag);
  setText(place.querySelector('.head'), head);
  setText(place.querySelector('.tail'), tail);
}

/** The start of a hold: without the day if that is clear. */
function startOf(since, nowMs) {
  const date = new Date(since);
  return (nowMs - date < 86400000 ? short : shortWithDay).format(date);
}

/** The list of held items. `shownMs()` is the time of the displayed data; `tickNow(entry)` calls tick(). */
export function holdersList({settings, shownMs, tickNow, isPaged}) {
  return new Rotation(byId('holders'), {
    least: 25, tall: 4.2, isPaged, onPage: onPage(byId('holders-page')),
    make: () => h('li', {class: 'entry'},
      h('p', {}, h('strong', {class: 'name'}), h('span', {class: 'long'})),
      h('p', {}, tagPlace(), h('span', {class: 'step'}), h('span', {class: 'title'}),
        h('span', {class: 'since'}))),
    write(entry, item) {
      Object.assign(entry.dataset, {state: item.state, since: item.since, newest: item.since});
      setText(entry.querySelector('.name'), item.holder.name);
      writeTag(entry.querySelector('.tag'), item.tag);
      setText(entry.querySelector('.since'), startOf(item.since, shownMs()));
      setText(entry.querySelector('.title'), item.title === item.tag ? '' : item.title);
      const step = entry.querySelector('.step');
      setText(step, settings.titleOf(item.step));
      step.hidden = item.step === 'work'; // the only step of a board without a list
      tickNow(entry);
    },
  });
}

/** The list of stopsOf(): a reason, how many items, since when, and the tags for which there is room. */
export function stopsList({tickNow, isPaged}) {
  return new Rotation(byId('still'), {
    least: 22, tall: 4.7, line: 1.6, isPaged, onPage: onPage(byId('still-page')),
    make: () => h('li', {class: 'entry'},
      h('p', {}, h('strong', {class: 'name'})),
      h('p', {}, h('span', {class: 'mark', 'aria-hidden': 'true'}), h('span', {class: 'word unseen'}),
        h('span', {class: 'long'})),
      h('p', {class: 'tags'})),
    write(entry, {state, reason, items}) {
      Object.assign(entry.dataset, {state, since: items[0].since, newest: items.at(-1).since,
        count: number(items.length)});
      setText(entry.querySelector('.name'), reason ?? t('wall.no_reason'));
      entry.classList.toggle('unexplained', reason === null);
      entry.querySelector('.mark').className = `mark ${state}`;
      setText(entry.querySelector('.word'), t(`state.${state}`));
      const tags = entry.querySelector('.tags');
      const shown = items.slice(0, MOST_TAGS);
      while (tags.children.length > shown.length) tags.lastElementChild.remove();
      while (tags.children.length < shown.length) tags.append(tagPlace());
      shown.forEach(({tag}, index) => writeTag(tags.children[index], tag));
      tickNow(entry);
    },
  });
}
