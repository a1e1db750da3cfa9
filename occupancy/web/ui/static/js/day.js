// A worker's day: what they held today, for how long, and how each hold ended.
//
// The day begins at midnight of this device. Another day is in the page's address: ?day=2026-11-28.

import * as api from './api.js';
import {BoardSettings, itemsOf} from './board_settings.js';
import {serverNow} from './clock.js';
import {dayAfter, dayOf, lastsOf, midnightOf, workedIn} from './day_of.js';
import {byId, fill, h, setText} from './dom.js';
import {clockTime, duration, fullDate, t, tn} from './i18n.js';
import {startManaged} from './managed_page.js';
import {nameOf} from './person_name.js';

const REFRESH_MS = 60000;
const TICK_MS = 1000;
const MOST_DAYS = 6; // back; the server reads no further

const OWN = ['completed', 'paused', 'released']; // the ends that are a holder's own touch

const boards = new Map(); // id → BoardSettings, for titles of boards and steps
let found = null;
let timer;

function chosen() {
  const day = new URLSearchParams(location.search).get('day');
  return day && midnightOf(day) !== null ? day : dayOf(serverNow());
}

async function load(isCurrent) {
  const day = chosen();
  const [begin, end] = [midnightOf(day), midnightOf(dayAfter(day, 1))];
  const answer = await api.get(`/api/day?since=${encodeURIComponent(new Date(begin).toISOString())}`);
  const unknown = [...new Set(answer.holds.map((each) => each.board))].filter((each) => !boards.has(each));
  await Promise.all(unknown.map(async (each) => {
    const settings = new BoardSettings(each, () => {});
    await settings.load().catch(() => {}); // ids are shown instead of titles
    boards.set(each, settings);
  }));
  if (!isCurrent()) return;
  const holds = answer.holds.filter((each) => !each.began_at || Date.parse(each.began_at) < end);
  found = {...answer, begin, end, holds};
  draw(day);
}

function draw(day) {
  setText(byId('day'), fullDate(found.begin));
  link('before', dayAfter(day, -1), found.begin > serverNow() - MOST_DAYS * 86400000);
  link('after', dayAfter(day, 1), found.end <= serverNow());
  setText(byId('partial'), found.is_whole ? '' : t('day.partial'));
  setText(byId('none'), found.holds.length === 0 ? t('day.none') : '');
  byId('holds').hidden = found.holds.length === 0;
  fill(byId('holds').tBodies[0], ...found.holds.toReversed().map(row));
  tick();
}

function link(id, day, isThere) {
  const element = byId(id);
  element.hidden = !isThere;
  element.href = day === dayOf(serverNow()) ? '/day' : `/day?day=${day}`;
}

function row(hold) {
  const settings = boards.get(hold.board);
  return h('tr', {class: hold.ended_at ? null : 'running', 'data-tag': hold.tag},
    h('th', {scope: 'row'},
      h('a', {href: `/boards/${hold.board}/items/${encodeURIComponent(hold.tag)}`}, hold.tag), ' ',
      h('span', {class: 'soft'}, hold.title)),
    h('td', {'data-label': t('day.where')}, [settings?.board?.title ?? hold.board,
      hold.step === 'work' ? null : settings?.titleOf(hold.step) ?? hold.step].filter(Boolean).join(' · ')),
    h('td', {'data-label': t('day.when'), class: 'figures'}, hold.began_at ? clockTime(hold.began_at)
      : t('day.before'), ' – ', hold.ended_at ? clockTime(hold.ended_at) : ''),
    h('td', {'data-label': t('day.lasted'), class: 'figures lasted'}),
    h('td', {'data-label': t('day.ended')}, endOf(hold)));
}

/** How a hold ended: by the worker's own touch in a word, by somebody else in a sentence. */
function endOf(hold) {
  if (!hold.ended) return t('item.running');
  const own = hold.ended.slice('item.'.length);
  if (hold.ended_by.id === found.worker && OWN.includes(own)) return t(`day.own.${own}`);
  return t(`history.${hold.ended}`, {actor: nameOf(hold.ended_by), holder: t('day.another')});
}

function tick() {
  if (!found) return;
  const nowMs = Math.min(serverNow(), found.end);
  const lasted = found.holds.map((each) => lastsOf(each, found.begin, nowMs));
  const cells = byId('holds').querySelectorAll('.lasted');
  lasted.toReversed().forEach((seconds, index) => setText(cells[index], duration(seconds)));
  setText(byId('sum'), [
    t('day.worked', {time: duration(workedIn(found.holds, found.begin, nowMs))}),
    tn('day.completed', found.holds.filter((each) => (
      each.is_completion && Date.parse(each.ended_at) < found.end)).length),
    itemsOf(onlyName(), new Set(found.holds.map((each) => `${each.board} ${each.tag}`)).size),
  ].join(' · '));
}

/** What items are called, if there is one word for all of them. */
function onlyName() {
  const names = [...new Set(found.holds.map((each) => each.board))].map((each) => boards.get(each)?.board?.item_name);
  return names.length === 1 ? names[0] : null;
}

function clear() {
  found = null;
  boards.clear();
  fill(byId('holds').tBodies[0]);
  clearInterval(timer);
  timer = setInterval(() => { if (!document.hidden && found) reload(); }, REFRESH_MS);
}

const reload = startManaged('observer', {load, clear});
setInterval(tick, TICK_MS);
