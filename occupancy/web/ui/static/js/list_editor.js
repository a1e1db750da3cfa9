// An ordered list that somebody edits: lines to write, to put in between, to move and to take out, each
// by a button, so by touch and by keyboard. Enter in a line begins the next one.

import {announce, fill, h, setText} from './dom.js';
import {t} from './i18n.js';

export class ListEditor {
  /**
   * `name` says what a line is ('Step'); `most` lines are allowed, `least` stay. `more(line)` returns
   * elements for a line ({text, data, input, problem}); `hindrance(line)` says why a line cannot be
   * taken out, or is null. `list` is the id of a datalist. `onChange()` is called after each change.
   */
  constructor({name, add, most, maxLength, least = 0, list = null, more = () => [], hindrance = () => null,
    onChange}) {
    Object.assign(this, {name, most, maxLength, least, list, more, hindrance, onChange});
    this.lines = [];
    this.rows = h('ol', {class: 'lines'});
    this.adding = h('button', {type: 'button', class: 'add-line', onclick: () => this.add()}, add);
    this.element = h('div', {class: 'list-editor'}, this.rows, this.adding);
  }

  /** Shows these lines instead: [{text, data}, …]. */
  set(lines) {
    this.lines = lines.map((each) => this.#line(each));
    fill(this.rows, ...this.lines.map((each) => each.row));
    this.#number();
  }

  /** A new line before that place, by default the last, with the focus in it. */
  add({text = '', data = {isNew: true}, at = this.lines.length} = {}) {
    if (this.lines.length >= this.most) {
      announce(t('lines.full', {count: this.most}));
      return null;
    }
    const line = this.#line({text, data});
    this.rows.insertBefore(line.row, this.lines[at]?.row ?? null);
    this.lines.splice(at, 0, line);
    this.#changed();
    line.input.focus();
    return line;
  }

  #line({text, data}) {
    const line = {data, problem: h('p', {class: 'said', role: 'alert'})};
    line.input = h('input', {value: text, maxlength: this.maxLength, list: this.list, autocomplete: 'off',
      oninput: () => {
        setText(line.problem, '');
        line.input.removeAttribute('aria-invalid');
        this.onChange(line);
        this.#number();
      },
      onkeydown: (event) => {
        if (event.key !== 'Enter' || event.isComposing) return;
        event.preventDefault(); // else it saves
        this.add({at: this.lines.indexOf(line) + 1});
      }});
    const button = (name, mark, onclick) => h('button', {type: 'button', 'data-name': name, onclick},
      h('span', {'aria-hidden': 'true'}, mark));
    line.up = button('up', '↑', () => this.#move(line, -1));
    line.down = button('down', '↓', () => this.#move(line, 1));
    line.above = button('above', '+', () => this.add({at: this.lines.indexOf(line)}));
    line.out = button('remove', '✕', () => this.#remove(line));
    line.place = h('span', {class: 'place', 'aria-hidden': 'true'});
    line.row = h('li', {class: 'line'}, line.place, line.input, h('div', {class: 'line-more'}, ...this.more(line)),
      h('div', {class: 'line-buttons'}, line.up, line.down, line.above, line.out), line.problem);
    return line;
  }

  #move(line, by) {
    const from = this.lines.indexOf(line);
    const to = from + by;
    if (to < 0 || to >= this.lines.length) return;
    this.lines.splice(from, 1);
    this.lines.splice(to, 0, line);
    const focused = document.activeElement;
    this.rows.insertBefore(line.row, this.lines[to + 1]?.row ?? null);
    focused.focus(); // which it loses when it is moved
    this.#changed();
    announce(t('lines.moved', {what: this.#nameOf(line), place: to + 1, count: this.lines.length}));
  }

  #remove(line) {
    const hindrance = this.lines.length <= this.least ? t('lines.least') : this.hindrance(line);
    if (hindrance) {
      setText(line.problem, hindrance);
      return;
    }
    const at = this.lines.indexOf(line);
    this.lines.splice(at, 1);
    line.row.remove();
    this.#changed();
    (this.lines[Math.min(at, this.lines.length - 1)]?.out ?? this.adding).focus();
    announce(t('lines.removed', {what: this.#nameOf(line)}));
  }

  #nameOf(line) {
    return line.input.value.trim() || this.name;
  }

  #number() {
    this.lines.forEach((line, index) => {
      const what = this.#nameOf(line);
      setText(line.place, `${index + 1}.`);
      line.input.setAttribute('aria-label', `${this.name} ${index + 1}`);
      const labels = [[line.up, t('lines.up', {what})], [line.down, t('lines.down', {what})],
        [line.above, t('lines.above', {what})], [line.out, t('lines.remove', {what})]];
      for (const [button, label] of labels) {
        button.setAttribute('aria-label', label);
        button.title = label;
      }
      line.up.setAttribute('aria-disabled', String(index === 0));
      line.down.setAttribute('aria-disabled', String(index === this.lines.length - 1));
    });
    this.adding.disabled = this.lines.length >= this.most;
  }

  #changed() {
    this.#number();
    this.onChange(null);
  }
}
