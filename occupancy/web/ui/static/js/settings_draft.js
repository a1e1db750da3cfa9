// The settings of a board as somebody edits them: what is changed, what is wrong, and what becomes of it
// when others have changed them too. Nothing here touches the page.

import {isStepId} from './board_ids.js';
import {textProblem} from './text_rules.js';

export const FIELDS = ['title', 'steps', 'item_name', 'shown_attributes', 'reasons', 'max_holds', 'time_zone'];
export const MOST = {title: 200, steps: 32, step_title: 60, item_name: 30, shown_attributes: 3, attribute: 64,
  reasons: 20, reason: 60, max_holds: 1000};
export const NOUNS = [['es', 'one'], ['es', 'many'], ['en', 'one'], ['en', 'many']];

/** The values to edit, of a board as the API has it. */
export function valuesOf(board) {
  const {settings} = board;
  return {
    title: board.title,
    steps: board.steps.map((step) => ({step, title: board.step_titles[step]})),
    item_name: {es: {...board.item_name.es}, en: {...board.item_name.en}},
    shown_attributes: [...settings.shown_attributes],
    reasons: [...settings.reasons],
    max_holds: settings.max_holds === null ? '' : String(settings.max_holds),
    time_zone: settings.time_zone,
  };
}

/** The settings that the API gets: without spaces around, without empty lines, null for a default. */
export function settingsOf(values) {
  const lines = (list) => list.map((each) => each.trim()).filter(Boolean);
  const noun = ({one, many}) => ({one: one.trim(), many: many.trim()});
  const name = {es: noun(values.item_name.es), en: noun(values.item_name.en)};
  return {
    title: values.title.trim(),
    steps: stepsOf(values.steps),
    item_name: hasNoWord(name) ? null : name,
    shown_attributes: lines(values.shown_attributes),
    reasons: lines(values.reasons),
    max_holds: values.max_holds.trim() === '' ? null : Number(values.max_holds),
    time_zone: values.time_zone.trim() || null,
  };
}

/** The steps that the API gets; an added line that is still empty is none. */
export function stepsOf(steps) {
  return steps.filter((each) => !isEmptyLine(each)).map(({step, title}) => ({step: step.trim(), title: title.trim()}));
}

/** The names of the settings in which `values` differ from `base`. */
export function changedFields(base, values) {
  const [before, after] = [settingsOf(base), settingsOf(values)];
  return FIELDS.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
}

/** The body of the request that changes `base` to `values`. */
export function bodyOf(base, values) {
  const after = settingsOf(values);
  return Object.fromEntries(changedFields(base, values).map((name) => [name, after[name]]));
}

/**
 * What both have changed since `base`, and `values` with what only the others have changed. A setting
 * that both have made the same is no conflict.
 */
export function merge(base, values, theirs) {
  const own = changedFields(base, values);
  const different = changedFields(values, theirs);
  const both = changedFields(base, theirs).filter((name) => own.includes(name) && different.includes(name));
  const merged = Object.fromEntries(FIELDS.map((name) => [name, (own.includes(name) ? values : theirs)[name]]));
  return {both, merged, isSame: own.every((name) => !different.includes(name))};
}

/** What is wrong with values, as codes by place: 'title', 'steps.2.title', 'item_name.es.one'. */
export function problemsOf(values) {
  const found = new Map();
  const note = (place, code) => { if (code && !found.has(place)) found.set(place, code); };
  note('title', textProblem(values.title));
  problemsOfSteps(values.steps).forEach((code, place) => note(`steps.${place}`, code));
  if (!hasNoWord(values.item_name)) {
    for (const [lang, form] of NOUNS) note(`item_name.${lang}.${form}`, textProblem(values.item_name[lang][form]));
  }
  for (const name of ['shown_attributes', 'reasons']) {
    const texts = values[name].map((each) => each.trim());
    texts.forEach((text, index) => {
      if (!text) return;
      note(`${name}.${index}`, textProblem(text) ?? (texts.indexOf(text) < index ? 'twice' : null));
    });
  }
  const limit = values.max_holds.trim();
  if (limit && !(/^\d+$/.test(limit) && limit >= 1 && limit <= MOST.max_holds)) note('max_holds', 'limit');
  if (values.time_zone.trim() && !isTimeZone(values.time_zone.trim())) note('time_zone', 'zone');
  return found;
}

/** The same of steps alone: '2.title', '2.step'. */
export function problemsOfSteps(steps) {
  const found = new Map();
  const seen = {title: new Set(), step: new Set()};
  steps.forEach((each, index) => {
    if (isEmptyLine(each)) return;
    const codes = [['title', textProblem(each.title)], ['step', isStepId(each.step.trim()) ? null : 'id']];
    for (const [name, code] of codes) {
      const text = each[name].trim();
      const problem = code ?? (seen[name].has(text) ? 'twice' : null);
      if (problem) found.set(`${index}.${name}`, problem);
      seen[name].add(text);
    }
  });
  return found;
}

function isEmptyLine({step, title, isNew}) {
  return isNew && !title.trim() && !step.trim();
}

function hasNoWord(name) {
  return NOUNS.every(([lang, form]) => !name[lang][form].trim());
}

function isTimeZone(name) {
  if (!/^[A-Za-z]/.test(name)) return false; // an offset, which changes with the season
  try {
    return Boolean(new Intl.DateTimeFormat('en', {timeZone: name}));
  } catch {
    return false;
  }
}
