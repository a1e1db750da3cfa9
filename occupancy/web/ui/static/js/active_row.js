// The active row of the board: the item to which the shortcuts apply. The keys move it, a scan goes to it.

import {t} from './i18n.js';
import {listen} from './keys.js';
import {scanning} from './scan.js';
import {KEYS, UNDO} from './transitions.js';

export class ActiveRow {
  constructor(board, {model, view, filterBar, myWork}) {
    Object.assign(this, {board, model, view, filterBar, myWork});
    this.tag = null;
  }

  set(tag) {
    const before = this.tag;
    this.tag = tag;
    if (before === tag) return;
    this.view.list.refresh(before);
    this.view.list.refresh(tag);
  }

  /** Gives way to the first row, if the view no longer shows the item. */
  follow() {
    const {list} = this.view;
    if (this.tag === null || !list.has(this.tag)) this.set(list.first);
  }

  /** Makes an item of the list the active one, shows it and gives it the focus. */
  #go(tag) {
    this.set(tag);
    this.view.list.reveal(tag)?.querySelector('.tag')?.focus({preventScroll: true});
  }

  /** Goes to the first row. Answers whether there is one. */
  enter() {
    const {first} = this.view.list;
    if (first !== null) this.#go(first);
    return first !== null;
  }

  /** Goes to an item; clears a filter that hides it. */
  find(tag) {
    const {board, model, view, filterBar, myWork} = this;
    if (!model.items.has(tag)) {
      location.href = `/boards/${board}/items/${encodeURIComponent(tag)}`; // that page tells what happened to it
      return;
    }
    if (!view.list.has(tag)) {
      view.attention.release();
      view.draw();
      if (!view.list.has(tag)) filterBar.clear();
      view.draw();
    }
    view.attention.note();
    myWork.close();
    this.#go(tag);
  }

  #move(by) {
    const {list} = this.view;
    const next = this.tag === null ? list.first : list.next(this.tag, by);
    if (next !== null) this.#go(next);
  }

  /**
   * Follows the keyboard. `onOperation(operation, tag)` and `onChoose(tag)` are about the active item; `hindrance()`
   * and `notices` are for scans, as in scan.js.
   */
  listen({onOperation, onChoose, hindrance, notices}) {
    const {board, model, view, filterBar: {search}} = this;
    const move = (by) => () => this.#move(by);
    const onActive = (act) => () => { if (this.tag !== null) act(this.tag); };
    const aside = (by) => onActive((tag) => this.#go(view.list.beside(tag, by)));
    listen({
      '/': () => search.focus(),
      Escape: () => { search.blur(); onActive((tag) => this.#go(tag))(); },
      ArrowDown: move(1),
      ArrowUp: move(-1),
      ArrowLeft: aside(-1),
      ArrowRight: aside(1),
      PageDown: move(8),
      PageUp: move(-8),
      Home: move(-Infinity),
      End: move(Infinity),
      Enter: onActive((tag) => { location.href = `/boards/${board}/items/${tag}`; }),
      ' ': onActive(onChoose),
      [UNDO.key]: () => notices.undo(),
      ...Object.fromEntries([...KEYS].map(([key, operation]) => [key, onActive((tag) => onOperation(operation, tag))])),
    }, scanning({board, hindrance, notices, find: (tag) => model.find(tag), select: (tag) => {
      this.find(tag);
      return t('scan.found', {tag});
    }}));
  }
}
