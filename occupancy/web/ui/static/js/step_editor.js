// The editor of a board's steps. A step's id, which items carry, stays; that of a new one is proposed from
// its title. A step at which items stand is not taken out.

import {h, setText} from './dom.js';
import {t} from './i18n.js';
import {ListEditor} from './list_editor.js';
import {proposedStepId} from './board_ids.js';
import {MOST} from './settings_draft.js';

export class StepEditor {
  /** `used(step)` is how many items stand at a step, as a text; '' for none. */
  constructor({least, used = () => '', onChange}) {
    this.used = used;
    this.editor = new ListEditor({
      name: t('settings.step'), add: t('settings.add_step'), most: MOST.steps, maxLength: MOST.step_title, least,
      more: (line) => this.#more(line),
      hindrance: ({data}) => (!data.isNew && used(data.step) ? this.#whyUsed(data.step) : null),
      onChange: (line) => {
        if (line?.data.isNew && !line.data.isTyped) this.#propose(line);
        onChange();
      },
    });
    this.element = this.editor.element;
  }

  set(steps) {
    this.editor.set(steps.map(({title, ...data}) => ({text: title, data})));
  }

  /** The steps as they are now: [{step, title, isNew}, …]. */
  values() {
    return this.editor.lines.map(({input, data}) => ({...data, title: input.value}));
  }

  /** Shows again how many items stand at each step. */
  showUsed() {
    for (const {data, count} of this.editor.lines) if (count) setText(count, this.used(data.step));
  }

  /** A step is put back, because items stand at it. */
  putBack({step, title}, at) {
    const line = this.editor.add({text: title, data: {step}, at: Math.min(at, this.editor.lines.length)});
    if (line) setText(line.problem, this.#whyUsed(step));
  }

  /** Shows problems ('2.title', '2.step'); returns the first field with one. */
  show(problems) {
    let first = null;
    this.editor.lines.forEach(({input, id, problem}, index) => {
      const codes = {title: problems.get(`${index}.title`), step: problems.get(`${index}.step`)};
      setText(problem, Object.entries(codes).filter(([, code]) => code)
        .map(([name, code]) => t(`settings.wrong.${code}_${name}`)).join(' '));
      for (const [name, field] of [['title', input], ['step', id]]) {
        if (codes[name]) {
          field?.setAttribute('aria-invalid', 'true');
          first ??= field ?? input;
        } else {
          field?.removeAttribute('aria-invalid');
        }
      }
    });
    return first;
  }

  #more(line) {
    if (!line.data.isNew) {
      line.count = h('span', {class: 'used'}, this.used(line.data.step));
      return [h('span', {class: 'soft id'}, t('settings.step_id'), ' ', h('bdi', {}, line.data.step)), line.count];
    }
    line.data.step ??= '';
    line.id = h('input', {value: line.data.step, maxlength: '32', autocomplete: 'off', autocapitalize: 'characters',
      spellcheck: 'false', oninput: () => {
        line.data.step = line.id.value;
        line.data.isTyped = line.id.value !== '';
        setText(line.problem, '');
        line.id.removeAttribute('aria-invalid');
        this.editor.onChange(null);
      }});
    return [h('label', {class: 'new-id'}, t('settings.step_id'), line.id)];
  }

  #propose(line) {
    const taken = this.editor.lines.filter((each) => each !== line).map((each) => each.data.step);
    line.data.step = proposedStepId(line.input.value, taken);
    line.id.value = line.data.step;
  }

  #whyUsed(step) {
    return t('settings.step_used', {items: this.used(step)});
  }
}
