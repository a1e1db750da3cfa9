// Notices: events and scans, each with its item, its actor and a link to the item. They are always
// visible, and screen readers speak them. An open dialog shows the result of a scan itself.

import {byId, h} from './dom.js';
import {t} from './i18n.js';
import {nameOf} from './person_name.js';
import {ignoreTaps} from './tap_filter.js';

const MOST = 3;
const PASSING = ['done', 'scanned']; // of these, only the last one is shown
// A notice of the kind 'mine' stays until the user closes it.
const LASTS_MS = {done: 10000, scanned: 15000, refused: 30000};

export class Notices {
  /** `onShow(tag)` shows an item. */
  constructor({onShow = null} = {}) {
    this.place = byId('notices');
    this.onShow = onShow;
    this.notes = new Set();
    new ResizeObserver(([{target}]) => { // the bar must not cover the end of the page
      document.documentElement.style.setProperty('--foot', `${target.offsetHeight}px`);
    }).observe(byId('foot'));
  }

  /**
   * Shows a notice. `kind`: 'done' (an operation has succeeded), 'refused', 'mine' (another worker
   * changed an item of the signed-in one), or 'scanned'. A notice replaces an earlier one about the
   * same item. `address` is a page to link to. The field undo {key, label, untilMs, isOffered(), act()} gives it
   * a button to take the operation back, until `untilMs` of performance.now(), and as long as `isOffered()`.
   */
  say(text, {kind = 'done', tag = null, address = null, undo = null} = {}) {
    const hadFocus = [...this.notes].some((note) => note.contains(document.activeElement));
    for (const note of this.notes) {
      const isPassing = PASSING.includes(kind) && PASSING.includes(note.dataset.kind);
      if (isPassing || (tag !== null && note.dataset.tag === tag)) this.#close(note);
    }
    if (this.notes.size >= MOST) this.#close([...this.notes][0]);
    const dialog = kind === 'scanned' ? document.querySelector('dialog[open]') : null;
    const note = h('div', {class: `note ${kind}`, 'data-kind': kind, 'data-tag': tag, role: dialog && 'alert'},
      h('p', {}, text),
      address !== null && h('a', {class: 'go', href: address}, t('scan.go')),
      undo && h('button', {type: 'button', class: 'take-back', 'aria-label': undo.label ?? t('notice.undo_tag', {tag}),
        'aria-keyshortcuts': undo.key, onclick: () => this.#undo(note)}, t('notice.undo')),
      tag !== null && this.onShow && h('button', {type: 'button', class: 'show',
        'aria-label': t('notice.show_tag', {tag}), onclick: () => this.onShow(tag)}, t('notice.show')),
      h('button', {type: 'button', class: 'close', 'aria-label': t('notice.close'),
        onclick: () => this.#close(note)}, '✕'));
    note.undo = undo;
    this.notes.add(note);
    if (dialog) dialog.prepend(note);
    else this.place.append(note);
    ignoreTaps(note); // a tap on the row that it covers may be under way
    if (hadFocus && !document.activeElement?.closest('.note')) note.querySelector('button')?.focus();
    const lastsMs = undo ? undo.untilMs - performance.now() : LASTS_MS[kind];
    if (lastsMs) note.timer = setTimeout(() => this.#close(note), lastsMs);
    this.check();
  }

  /** Removes the buttons to undo what can no longer be undone; call it when items change. */
  check() {
    for (const note of this.notes) {
      if (note.undo && !note.undo.isOffered()) this.#endUndo(note);
    }
  }

  /** Takes back the operation of the newest notice that offers it; for the keyboard. */
  undo() {
    const note = [...this.notes].findLast((each) => each.undo);
    if (note) this.#undo(note);
  }

  #undo(note) {
    const {undo} = note;
    if (!undo) return; // a second tap
    note.undo = null;
    // A timer may be late, as on a device that has slept.
    if (performance.now() < undo.untilMs && undo.isOffered()) undo.act();
    else this.#endUndo(note);
  }

  /** The rest of the notice stays for as long as one without the button. */
  #endUndo(note) {
    note.undo = null;
    const button = note.querySelector('.take-back');
    if (button?.contains(document.activeElement)) note.querySelector('.close').focus();
    button?.remove();
    clearTimeout(note.timer);
    note.timer = setTimeout(() => this.#close(note), LASTS_MS.done);
  }

  /** Shows the changes of the worker's items during a gap in the events, without the actors; not of the tags `own`. */
  tellMissed(before, now, own) {
    const tell = (items, others, key) => {
      for (const {tag} of items) {
        if (!own.has(tag) && !others.some((other) => other.tag === tag)) this.say(t(key, {tag}), {kind: 'mine', tag});
      }
    };
    tell(now, before, 'notice.yours_now');
    tell(before, now, 'notice.not_yours');
  }

  clear() {
    for (const note of this.notes) this.#close(note);
  }

  #close(note) {
    clearTimeout(note.timer);
    this.notes.delete(note);
    note.remove();
  }
}

/**
 * The text of an event in which somebody else gave `worker` the item or took it away; else null.
 * `before` is the item before the event.
 */
export function toldBy({type, actor, item}, before, worker) {
  if (!worker || actor.id === worker) return null;
  const isMine = item.holder?.id === worker;
  const wasMine = before?.holder?.id === worker;
  if (isMine && !wasMine) return t('notice.assigned', {actor: nameOf(actor), tag: item.tag});
  if (!isMine && wasMine) {
    return t(`event.${type}`, {tag: item.tag, actor: nameOf(actor), holder: item.holder?.name ?? ''})
      + (item.reason ? `: ${item.reason}` : '.');
  }
  return null;
}
