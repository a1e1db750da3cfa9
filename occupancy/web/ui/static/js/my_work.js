// My work: the signed-in worker's items, always visible, with buttons to end the work.

import {serverNow} from './clock.js';
import {fill, h, setText} from './dom.js';
import {duration, number, t} from './i18n.js';
import {partsOf} from './tag_parts.js';
import {ignoreTaps} from './tap_filter.js';
import {ENDS, buttonClass} from './transitions.js';

export class MyWork {
  /**
   * `place` is the list's element; `count` shows the number of items; `more` is a button with that
   * number that opens the whole list if one line has no room for it. A touch calls
   * `onAct(operation, tag)` or `onShow(tag)`.
   */
  constructor(place, {count, more, actions, settings, hindrance, onHindered, onAct, onShow}) {
    Object.assign(this, {place, count, more, actions, settings, hindrance, onHindered, onAct, onShow});
    this.entries = new Map(); // by tag: touch and focus survive changes of other entries
    this.drawn = null; // as text
    this.isOpen = false;
    more.addEventListener('click', () => (this.isOpen ? this.close() : this.#open()));
    document.addEventListener('click', ({target}) => {
      if (!target.closest('.my-work, .foot, dialog')) this.close();
    });
    document.addEventListener('keydown', ({key}) => { if (key === 'Escape') this.close(); });
    new ResizeObserver(() => this.#fit()).observe(place.parentElement);
  }

  /** Shows these items, in this order. What is shown already is not measured again, because that costs a layout. */
  draw(items) {
    // The version alone would not do: a server that has lost its last second counts it again.
    const drawn = items.map((item) => [
      item.tag, item.version, item.since, this.settings.titleOf(item.step), this.actions.sending.get(item.tag),
      ...ENDS.map((operation) => this.hindrance(operation, item)),
    ].join());
    if (drawn.join() === this.drawn) return;
    this.drawn = drawn.join();
    const tags = items.map((item) => item.tag);
    const before = [...this.entries.keys()].filter((tag) => tags.includes(tag));
    for (const [tag, entry] of this.entries) {
      if (!tags.includes(tag)) {
        entry.remove();
        this.entries.delete(tag);
        this.#ignoreTaps();
      }
    }
    if (before.join() !== tags.join()) this.#ignoreTaps();
    const entryOf = (tag) => this.entries.get(tag) ?? h('li', {class: 'mine-entry'});
    this.entries = new Map(tags.map((tag) => [tag, entryOf(tag)]));
    items.forEach((item, index) => {
      const entry = this.entries.get(item.tag);
      if (this.place.children[index] !== entry) this.place.insertBefore(entry, this.place.children[index] ?? null);
      if (entry.dataset.drawn === drawn[index]) return;
      if (entry.dataset.drawn) ignoreTaps(entry);
      entry.dataset.drawn = drawn[index];
      entry.dataset.key = item.tag;
      this.#drawEntry(item, entry);
    });
    this.tick();
    this.#fit();
  }

  /** Shows one line only, because the user looks for what the others cover. */
  close() {
    this.isOpen = false;
    this.#fit();
  }

  #open() {
    this.isOpen = true;
    this.#fit();
  }

  /** Shows the first line and the number of all items, or all of them. */
  #fit() {
    const entries = [...this.place.children];
    this.place.classList.remove('open'); // measured as one line
    const lineOf = (entry) => entry.offsetTop;
    const isMore = entries.length > 0 && lineOf(entries.at(-1)) > lineOf(entries[0]);
    if (!isMore) this.isOpen = false;
    for (const entry of entries) entry.classList.toggle('beyond', !this.isOpen && lineOf(entry) > lineOf(entries[0]));
    this.place.classList.toggle('open', this.isOpen);
    if (!this.isOpen) this.place.scrollTop = 0;
    this.more.hidden = !isMore;
    this.more.setAttribute('aria-expanded', String(this.isOpen));
    this.more.setAttribute('aria-label', t('mine.all', {count: number(entries.length)}));
    setText(this.more, number(entries.length));
    setText(this.count, !isMore && entries.length > 1 ? number(entries.length) : '');
  }

  tick() {
    for (const time of this.place.querySelectorAll('time')) {
      setText(time, duration((serverNow() - Date.parse(time.dateTime)) / 1000));
    }
  }

  #ignoreTaps() {
    for (const entry of this.place.children) ignoreTaps(entry);
  }

  #drawEntry(item, entry) {
    const focused = entry.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    const isSending = this.actions.sending.has(item.tag);
    fill(
      entry,
      h('button', {type: 'button', class: 'mine-tag', 'data-name': 'show', onclick: () => this.onShow(item.tag)},
        h('strong', {}, ...partsOf(item.tag)),
        h('span', {class: 'mine-since'}, h('time', {datetime: item.since}), ' ',
          item.step !== 'work' && h('span', {class: 'mine-step'}, this.settings.titleOf(item.step)))),
      ...(isSending ? [h('span', {class: 'sending', role: 'status'}, t('board.sending'))]
        : ENDS.map((operation) => this.#button(operation, item))),
    );
    if (focused) entry.querySelector(`[data-name="${focused}"]`)?.focus({preventScroll: true});
  }

  #button(operation, item) {
    const why = this.hindrance(operation, item);
    return h('button', {
      type: 'button', class: buttonClass(operation), 'data-name': operation,
      'aria-label': `${t(`operation.${operation}`)} ${item.tag}`,
      'aria-disabled': why ? 'true' : null,
      title: why || null,
      onclick: () => {
        const hindered = this.hindrance(operation, item); // now
        if (hindered) this.onHindered(hindered, item.tag);
        else this.onAct(operation, item.tag);
      },
    }, t(`operation.${operation}`));
  }
}
