// The form of a board's settings: its sections, what is in them, and what is wrong there.

import {itemsOf} from './board_settings.js';
import {fill, h, setText} from './dom.js';
import {field} from './form_dialog.js';
import {number, t} from './i18n.js';
import {ListEditor} from './list_editor.js';
import {MOST, NOUNS} from './settings_draft.js';
import {StepEditor} from './step_editor.js';

export class SettingsForm {
  /** `onChange()` is called after each change that the user makes. */
  constructor(onChange) {
    this.onChange = onChange;
    this.places = new Map(); // of a field: {control, problem}
    this.title = this.#input('title', {maxlength: MOST.title});
    this.nouns = new Map(NOUNS.map(([lang, form]) => (
      [`${lang}.${form}`, this.#input(`item_name.${lang}.${form}`, {maxlength: MOST.item_name, lang})])));
    this.limit = this.#input('max_holds', {inputmode: 'numeric', maxlength: '6'});
    this.zone = this.#input('time_zone', {list: 'zones', maxlength: '64', spellcheck: 'false', autocapitalize: 'off'});
    this.steps = new StepEditor({least: 1, used: (step) => this.#used(step), onChange});
    this.attributes = this.#list({name: t('settings.attribute'), add: t('settings.add_attribute'),
      most: MOST.shown_attributes, maxLength: MOST.attribute, list: 'attributes'});
    this.reasons = this.#list({name: t('settings.reason'), add: t('settings.add_reason'), most: MOST.reasons,
      maxLength: MOST.reason});
    this.known = h('datalist', {id: 'attributes'});
    this.proposals = h('div', {class: 'proposals', role: 'group', 'aria-label': t('settings.attributes_found')});
    this.device = h('p', {class: 'buttons'});
    this.board = null;
    this.found = [];
  }

  /** The sections, as elements. */
  sections() {
    const words = (lang, title) => h('fieldset', {class: 'words'}, h('legend', {}, title),
      ...['one', 'many'].map((form) => this.#field(`item_name.${lang}.${form}`, t(`settings.noun_${form}`))));
    return [
      section(t('settings.name'), this.#field('title', t('settings.title'))),
      section(t('settings.field.steps'), hint(t('settings.steps_hint')), this.steps.element),
      section(t('settings.field.item_name'), hint(t('settings.item_name_hint')),
        h('div', {class: 'two'}, words('es', t('settings.in_spanish')), words('en', t('settings.in_english')))),
      section(t('settings.field.shown_attributes'), hint(t('settings.attributes_hint')), this.attributes.element,
        this.proposals, this.known),
      section(t('settings.field.reasons'), hint(t('settings.reasons_hint')), this.reasons.element),
      section(t('settings.rules'),
        this.#field('max_holds', t('settings.field.max_holds'), t('settings.max_holds_hint')),
        this.#field('time_zone', t('settings.field.time_zone'), t('settings.time_zone_hint')), this.device, zones()),
    ];
  }

  /** Shows values of a board. */
  show(board, values) {
    this.board = board;
    this.title.value = values.title;
    this.steps.set(values.steps);
    for (const [lang, form] of NOUNS) this.nouns.get(`${lang}.${form}`).value = values.item_name[lang][form];
    this.attributes.set(values.shown_attributes.map((text) => ({text, data: {}})));
    this.reasons.set(values.reasons.map((text) => ({text, data: {}})));
    this.limit.value = values.max_holds;
    this.zone.value = values.time_zone;
    this.showProblems(new Map());
    this.#propose();
  }

  /** The values as they are now; see valuesOf. */
  values() {
    const noun = (lang) => ({one: this.nouns.get(`${lang}.one`).value, many: this.nouns.get(`${lang}.many`).value});
    return {
      title: this.title.value,
      steps: this.steps.values(),
      item_name: {es: noun('es'), en: noun('en')},
      shown_attributes: this.attributes.lines.map(({input}) => input.value),
      reasons: this.reasons.lines.map(({input}) => input.value),
      max_holds: this.limit.value,
      time_zone: this.zone.value,
    };
  }

  /** The numbers of items, as they are by now. */
  showCounts(board) {
    this.board = board;
    this.steps.showUsed();
  }

  /** The attributes that items have: [{name, example}, …]. */
  showAttributes(found) {
    this.found = found;
    fill(this.known, ...found.map(({name}) => h('option', {value: name})));
    this.#propose();
  }

  /** Shows what is wrong, by place; returns the first field with something wrong, or null. */
  showProblems(problems) {
    let first = null;
    for (const [place, {control, problem}] of this.places) {
      const code = problems.get(place);
      setText(problem, code ? t(`settings.wrong.${code}`) : '');
      if (code) control.setAttribute('aria-invalid', 'true');
      else control.removeAttribute('aria-invalid');
    }
    const inSteps = new Map([...problems].filter(([place]) => place.startsWith('steps.'))
      .map(([place, code]) => [place.slice('steps.'.length), code]));
    this.steps.show(inSteps);
    for (const [name, editor] of [['shown_attributes', this.attributes], ['reasons', this.reasons]]) {
      editor.lines.forEach(({input, problem}, index) => {
        const code = problems.get(`${name}.${index}`);
        setText(problem, code ? t(`settings.wrong.${code}`) : '');
        if (code) input.setAttribute('aria-invalid', 'true');
        else input.removeAttribute('aria-invalid');
      });
    }
    if (problems.size > 0) first = document.querySelector('#settings-form [aria-invalid="true"]');
    return first;
  }

  #used(step) {
    const count = this.board?.step_counts[step] ?? 0;
    return count > 0 ? itemsOf(this.board.item_name, count) : '';
  }

  #input(place, properties) {
    const problem = h('p', {class: 'said', role: 'alert', id: `wrong-${place}`});
    const control = h('input', {id: place, autocomplete: 'off', 'aria-describedby': problem.id, ...properties,
      oninput: () => {
        setText(problem, '');
        control.removeAttribute('aria-invalid');
        this.onChange();
        this.#propose();
      }});
    this.places.set(place, {control, problem});
    return control;
  }

  #field(place, label, said = null) {
    const {control, problem} = this.places.get(place);
    return h('div', {class: 'setting'}, field(label, control, {hint: said}), problem);
  }

  #list(options) {
    return new ListEditor({...options, onChange: () => {
      this.onChange();
      this.#propose();
    }});
  }

  // What can be taken over by one touch: attributes that items have, and the time zone of the device.
  #propose() {
    const chosen = this.attributes.lines.map(({input}) => input.value.trim());
    const isFull = chosen.filter(Boolean).length >= MOST.shown_attributes;
    fill(this.proposals, ...this.found.filter(({name}) => !chosen.includes(name)).slice(0, 12).map(
      ({name, example}) => h('button', {type: 'button', 'data-attribute': name, disabled: isFull,
        onclick: () => this.#take(name)}, `${name} `, h('span', {class: 'soft'}, example))));
    this.proposals.hidden = this.proposals.children.length === 0;
    const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;
    const isOffered = zone && zone !== this.zone.value.trim();
    fill(this.device, isOffered && h('button', {type: 'button', id: 'use-zone', onclick: () => {
      this.zone.value = zone;
      this.zone.dispatchEvent(new Event('input'));
      this.zone.focus();
    }}, t('settings.use_zone', {zone})));
  }

  #take(name) {
    const empty = this.attributes.lines.find(({input}) => !input.value.trim());
    if (!empty) this.attributes.add({text: name, data: {}});
    else {
      empty.input.value = name;
      empty.input.dispatchEvent(new Event('input'));
      empty.input.focus();
    }
  }
}

/** The attributes of items, the most common first, each with an example. */
export function attributesOf(items) {
  const found = new Map();
  for (const {attributes} of items) {
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === '') continue;
      const known = found.get(name) ?? {name, example: String(value).slice(0, 24), count: 0};
      known.count += 1;
      found.set(name, known);
    }
  }
  return [...found.values()].sort((a, b) => b.count - a.count);
}

/** A setting as a text, to compare it with another. */
export function textOf(name, settings) {
  const value = settings[name];
  if (name === 'steps') return value.map(({title}) => title).join(' → ');
  if (name === 'item_name') return NOUNS.map(([lang, form]) => value[lang][form]).join(', ');
  if (name === 'max_holds') return value === null ? t('settings.no_limit') : number(value);
  return [value].flat().join(', ') || '–';
}

function section(title, ...children) {
  return h('fieldset', {class: 'section'}, h('legend', {}, title), ...children);
}

function hint(text) {
  return h('p', {class: 'hint'}, text);
}

// The names of the IANA database that the browser knows; a city is found with a space in its name too.
function zones() {
  const names = ['UTC', ...Intl.supportedValuesOf('timeZone').filter((name) => name !== 'UTC')];
  return h('datalist', {id: 'zones'}, ...names.map((name) => h('option', {value: name,
    label: name.includes('_') ? name.replaceAll('_', ' ') : null})));
}
