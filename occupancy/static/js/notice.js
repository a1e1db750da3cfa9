// Notices: what has happened to which item, by whom, and a way to it. They are always in sight, and
// screen readers speak them.

import {byId, fill, h} from './dom.js';
import {t} from './i18n.js';
import {unsettle} from './taps.js';

const MOST = 3;
const LASTS_MS = {done: 10000, refused: 30000}; // a notice of the kind 'mine' stays until it is closed

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
   * Says something. `kind`: 'done' (an operation has succeeded), 'refused', or 'mine' (somebody else
   * did something to one's own items). A notice replaces an earlier one about the same item.
   */
  say(text, {kind = 'done', tag = null} = {}) {
    for (const note of this.notes) {
      if ((tag !== null && note.dataset.tag === tag) || (kind === 'done' && note.dataset.kind === 'done')) {
        this.#close(note);
      }
    }
    if (this.notes.size >= MOST) this.#close([...this.notes][0]);
    const note = h('div', {class: `note ${kind}`, 'data-kind': kind, 'data-tag': tag},
      h('p', {}, text),
      tag !== null && this.onShow && h('button', {type: 'button', class: 'show',
        'aria-label': t('notice.show_tag', {tag}), onclick: () => this.onShow(tag)}, t('notice.show')),
      h('button', {type: 'button', class: 'close', 'aria-label': t('notice.close'),
        onclick: () => this.#close(note)}, '✕'));
    this.notes.add(note);
    this.place.append(note);
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
    for (const note of this.notes) clearTimeout(note.timer);
    this.notes.clear();
    fill(this.place);
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
