// The import of people: a file is chosen, dropped or pasted, looked at, and imported.

import {byId, fill, h, setText} from './dom.js';
import {sendFile} from './file_upload.js';
import {number, t, tn} from './i18n.js';
import {remember} from './memory.js';
import {explain} from './refusal_text.js';
import {countsText, linesTable} from './people_import_table.js';
import * as session from './session.js';

const MOST_BYTES = 20 * 1024 * 1024;
const TIMEOUT_MS = 120000; // of one request, which imports a part
const COUNTS = ['added', 'updated', 'unchanged', 'rejected'];

export class ImportPanel {
  /** `reload()` loads the list of people anew; `onClosed()` shows it. */
  constructor(element, {onClosed, reload}) {
    this.element = element;
    this.onClosed = onClosed;
    this.reload = reload;
    this.turn = 0;
    element.addEventListener('dragover', (event) => {
      if (![...event.dataTransfer.types].includes('Files')) return;
      event.preventDefault();
      element.classList.add('over');
    });
    element.addEventListener('dragleave', () => element.classList.remove('over'));
    element.addEventListener('drop', (event) => {
      element.classList.remove('over');
      const [file] = event.dataTransfer.files;
      if (!file) return;
      event.preventDefault();
      if (!this.isRunning) this.#look(file, file.name);
    });
  }

  open() {
    this.clear();
    const picker = h('input', {type: 'file', class: 'unseen', accept: '.csv,.txt,.tsv,.xlsx,.xls,.ods,text/csv',
      onchange: () => { if (picker.files[0]) this.#look(picker.files[0], picker.files[0].name); }});
    const pasted = h('textarea', {rows: '5', spellcheck: 'false', autocomplete: 'off',
      placeholder: t('people.import.example')});
    this.said = h('p', {class: 'said', role: 'alert'});
    this.place = h('div', {class: 'stack'});
    fill(this.element,
      h('h2', {id: 'import-title', tabindex: '-1'}, t('people.import.title')),
      h('p', {}, t('people.import.columns')),
      h('div', {class: 'choose-file'},
        h('label', {class: 'field drop'}, t('people.import.file'),
          h('span', {class: 'button', 'aria-hidden': 'true'}, t('import.choose_button')), picker,
          h('span', {class: 'hint'}, t('people.import.file_hint'))),
        h('div', {class: 'stack tight'},
          h('label', {class: 'field'}, t('people.import.paste'), pasted),
          h('div', {class: 'buttons'}, h('button', {type: 'button', onclick: () => {
            if (pasted.value.trim()) this.#look(new Blob([pasted.value]), '');
            else pasted.focus();
          }}, t('people.import.look'))))),
      this.said, this.place,
      h('div', {class: 'buttons'}, h('button', {type: 'button', class: 'leave-import',
        onclick: () => this.#close()}, t('people.import.back'))));
    byId('import-title').focus();
  }

  clear() {
    this.turn += 1;
    this.isRunning = false;
    fill(this.element);
  }

  #close() {
    this.clear();
    this.onClosed();
    byId('to-import').focus();
  }

  #path(name, more) {
    // A file's name may have characters that no text of ours has.
    const plain = name.replace(/[\p{Cc}\p{Cs}]/gu, '').slice(0, 200);
    return `/api/workers/import?${new URLSearchParams({...(plain && {name: plain}), ...more})}`;
  }

  /** Shows what the file would do. */
  async #look(file, name) {
    this.turn += 1;
    const mine = this.turn;
    fill(this.place, h('p', {class: 'soft', role: 'status'}, t('people.import.reading')));
    setText(this.said, '');
    let found = null;
    try {
      if (file.size > MOST_BYTES) throw Object.assign(new Error(), {code: 'too_large', status: 413});
      found = await sendFile(this.#path(name, {dry_run: 'true'}), file, {timeoutMs: TIMEOUT_MS});
    } catch (problem) {
      if (problem.status === undefined) throw problem; // a bug of the page
      if (mine !== this.turn) return;
      fill(this.place);
      setText(this.said, explainFile(problem));
      return;
    }
    if (mine !== this.turn) return;
    const good = found.rows - found.rejected;
    fill(this.place,
      h('h3', {tabindex: '-1'}, name ? t('people.import.preview_of', {name}) : t('people.import.preview')),
      h('p', {role: 'status'}, countsText(found, 'people.import.would')),
      found.left_out.length > 0 && h('p', {class: 'soft'},
        t('people.import.left_out', {columns: found.left_out.join(', ')})),
      found.lines.some((each) => each.changes?.includes('pin')) && h('p', {class: 'soft'}, t('people.import.pins')),
      linesTable(found.lines),
      h('div', {class: 'buttons'}, h('button', {type: 'button', class: 'primary', disabled: good === 0,
        onclick: () => this.#run(file, name, found.rows)}, tn('people.import.run', good))));
    this.place.querySelector('h3').focus();
  }

  /** Imports the file from a line on; a long one in several requests. */
  async #run(file, name, rows, before = {lines: [], next: 1}) {
    this.turn += 1;
    const mine = this.turn;
    this.isRunning = true;
    setText(this.said, '');
    const done = {lines: [...before.lines], next: before.next};
    const bar = h('progress', {max: rows, value: done.lines.length, 'aria-label': t('people.import.running')});
    const count = h('p', {class: 'soft', role: 'status'}, t('people.import.running'));
    fill(this.place, bar, count);
    let problem = null;
    try {
      while (done.next !== null) {
        const found = await sendFile(this.#path(name, {from_line: done.next}), file, {timeoutMs: TIMEOUT_MS});
        if (mine !== this.turn) return;
        done.lines.push(...found.lines);
        done.next = found.next_line;
        bar.value = done.lines.length;
        setText(count, t('people.import.progress', {done: number(done.lines.length), rows: number(rows)}));
      }
    } catch (error) {
      if (error.status === undefined) throw error; // a bug of the page
      problem = error;
    }
    if (mine !== this.turn) return;
    this.isRunning = false;
    this.#showResult(done, problem, () => this.#run(file, name, rows, done));
    await this.reload();
  }

  #showResult({lines}, problem, goOn) {
    const counts = Object.fromEntries(COUNTS.map((each) => [each, lines.filter(({result}) => result === each).length]));
    const rejected = lines.filter(({result}) => result === 'rejected');
    const good = lines.filter(({result}) => result !== 'rejected').map(({id}) => id);
    fill(this.place,
      h('h3', {tabindex: '-1'}, t(problem ? 'people.import.stopped' : 'people.import.done')),
      h('p', {role: 'status'}, countsText(counts, 'people.import.did')),
      rejected.length > 0 && linesTable(rejected),
      h('div', {class: 'buttons'},
        problem && h('button', {type: 'button', class: 'primary', onclick: goOn}, t('people.import.go_on')),
        good.length > 0 && h('a', {class: 'button', href: '/people/cards', onclick: () => {
          remember('sessionStorage', 'occupancy-cards', JSON.stringify({workers: good}));
        }}, t('people.import.cards'))));
    setText(this.said, problem ? t('people.import.safe', {why: explainFile(problem)}) : '');
    this.place.querySelector('h3').focus();
  }
}

/** Why a file as a whole is not imported. */
function explainFile(problem) {
  if (problem.code === 'too_large') return t('people.import.too_large');
  if (problem.missing) return t('people.import.missing', {column: problem.missing});
  if (problem.most) return t('people.import.too_many', {most: number(problem.most)});
  if (problem.code === 'unreachable') return t('people.unanswered');
  // What is wrong with a file has many forms, which only the server's sentence tells.
  if (problem.code === 'invalid_request') {
    return session.current() && document.documentElement.lang === 'en' ? problem.detail : t('people.import.unreadable');
  }
  return explain(problem);
}
