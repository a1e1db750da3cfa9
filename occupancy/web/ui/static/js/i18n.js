// The page's language: messages from its catalog, and formats of times and numbers.

import {serverNow} from './clock.js';

export const language = document.documentElement.lang;
const catalogs = [...document.querySelectorAll('link[rel=preload][as=fetch]')];
const messages = Object.assign({}, ...await Promise.all(catalogs.map(async ({href}) => (await fetch(href)).json())));

/** The message of a key, with {name} replaced by its value. A missing message shows its key. */
export function t(key, values = {}) {
  const message = messages[key] ?? key;
  return message.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

const plurals = new Intl.PluralRules(language);

export function isSingular(count) {
  return plurals.select(count) === 'one';
}

/** A message with a number in it: 'board.items.one' for one, 'board.items.other' for others. */
export function tn(key, count, values = {}) {
  return t(`${key}.${isSingular(count) ? 'one' : 'other'}`, {count: number(count), ...values});
}

// The browser's locale, if it has the page's language: en-GB has no AM and PM.
export const locale = navigator.languages?.find((each) => each.split('-')[0] === language) ?? language;
const numbers = new Intl.NumberFormat(locale);
const clock = new Intl.DateTimeFormat(locale, {timeStyle: 'medium'});
const dayAndClock = new Intl.DateTimeFormat(locale, {dateStyle: 'medium', timeStyle: 'short'});

export function number(value) {
  return numbers.format(value);
}

/** A time of today without a date, of another day with its date. */
export function moment(value) {
  const date = new Date(value);
  const isToday = date.toDateString() === new Date(serverNow()).toDateString();
  return (isToday ? clock : dayAndClock).format(date);
}

const minute = new Intl.DateTimeFormat(locale, {timeStyle: 'short'});

export function clockTime(value) {
  return minute.format(new Date(value));
}

const weekday = new Intl.DateTimeFormat(locale, {dateStyle: 'full'});

/** A day, with its weekday. */
export function fullDate(value) {
  return weekday.format(new Date(value));
}

/** A time after a word such as "since": '9:17', in Spanish 'las 9:17', or of another day 'el 3 nov …'. */
export function sinceText(value) {
  const date = new Date(value);
  const isToday = date.toDateString() === new Date(serverNow()).toDateString();
  if (!isToday) return t('since.day', {time: dayAndClock.format(date)});
  return sinceTime(date);
}

/** A time after a word such as "since", where its day is clear. */
export function sinceTime(date) {
  const time = minute.format(date);
  return t(/^0?1:/.test(time) ? 'since.one' : 'since.today', {time});
}

/** A duration in its two largest units: '3 h 05 min', '2 min 10 s', '4 d 3 h'. */
export function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (value) => String(value).padStart(2, '0');
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor(s / 60) % 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

const relative = new Intl.RelativeTimeFormat(locale, {numeric: 'always', style: 'short'});
const UNITS = [['day', 86400], ['hour', 3600], ['minute', 60]];

/** How long ago a time was, in its largest unit: '5 min ago'. */
export function ago(value, now = serverNow()) {
  const seconds = Math.max(0, (now - Date.parse(value)) / 1000);
  const [unit, size] = UNITS.find(([, least]) => seconds >= least) ?? ['second', 1];
  return relative.format(-Math.floor(seconds / size), unit);
}

/** Chooses another language and reloads the page in it. */
export function switchTo(other) {
  document.cookie = `lang=${other}; path=/; max-age=31536000; samesite=lax`;
  location.reload();
}
