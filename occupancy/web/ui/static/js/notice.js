// Notices: what has happened to which item, by whom, and a way to it; and what a scan was. They are
// always in sight, and screen readers speak them. An open dialog shows the answer to a scan itself.

import {byId, h} from './dom.js';
import {t} from './i18n.js';
import {unsettle} from './taps.js';

const MOST = 3;
const PASSING = ['done', 'scanned']; // only the last one of these stays
// A notice of the kind 'mine' stays until it is closed.
const LASTS_MS = {done: 10000, scanned: 15000, refused: 30000};

export class Notices {
  /** `onShow(tag)` leads to an item. */
  constructor({onShow = null} = {}) {
    this.place = byId('notices');
    this.onShow = onShow;
    this.notes = new Set();
    new ResizeObserver(([{target}]) => { // the end of the page is not behind the bar
      document.documentElement.style.setProperty('--foot', `${target.offsetHeight}px`);
    }).observe(byId('foot'));
  }

  /**
   * Says something. `kind`: 'done' (an operation has succeeded), 'refused', 'mine' (somebody else
   * did something to one's own items), or 'scanned'. A notice replaces an earlier one about the same
   * item. `address` is a page to go to.
   */
  say(text, {kind = 'done', tag = null, address = null} = {}) {
    for (const note of this.notes) {
      const isPassing = PASSING.includes(kind) && PASSING.includes(note.dataset.kind);
      if (isPassing || (tag !== null && note.dataset.tag === tag)) this.#close(note);
    }
    if (this.notes.size >= MOST) this.#close([...this.notes][0]);
    const dialog = kind === 'scanned' ? document.querySelector('dialog[open]') : null;
    const note = h('div', {class: `note ${kind}`, 'data-kind': kind, 'data-tag': tag, role: dialog && 'alert'},
      h('p', {}, text),
      address !== null && h('a', {class: 'go', href: address}, t('scan.go')),
      tag !== null && this.onShow && h('button', {type: 'button', class: 'show',
        'aria-label': t('notice.show_tag', {tag}), onclick: () => this.onShow(tag)}, t('notice.show')),
      h('button', {type: 'button', class: 'close', 'aria-label': t('notice.close'),
        onclick: () => this.#close(note)}, '✕'));
    this.notes.add(note);
    if (dialog) dialog.prepend(note);
    else this.place.append(note);
    unsettle(note); // a finger may be on its way to a row that it covers
    if (LASTS_MS[kind]) note.timer = setTimeout(() => this.#close(note), LASTS_MS[kind]);
  }

  /** Tells how one's items changed during a gap in the events; by whom is not known. */
  tellMissed(before, now) {
    const tell = (items, others, key) => {
      for (const {tag} of items) {
        if (!others.some((other) => other.tag === tag)) this.say(t(key, {tag}), {kind: 'mine', tag});
      }
    };
    tell(now, before, 'notice.yours_now');
    tell(before, now, 'notice.not_yours');
  }

  /** Closes all of them: somebody else is here now. */
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
 * The text of an event for `worker`, if somebody else has given them the item or taken it away; else
 * null. `before` is the item before the event.
 */
export function toldBy({type, actor, item}, before, worker) {
  if (!worker || actor.id === worker) return null;
  const isMine = item.holder?.id === worker;
  const wasMine = before?.holder?.id === worker;
  if (isMine && !wasMine) return t('notice.assigned', {actor: actor.name, tag: item.tag});
  if (!isMine && wasMine) {
    return t(`event.${type}`, {tag: item.tag, actor: actor.name, holder: item.holder?.name ?? ''})
      + (item.reason ? `: ${item.reason}` : '.');
  }
  return null;
}
