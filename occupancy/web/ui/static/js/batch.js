// The batch: chosen items, and a bar with the operations for all of them.

import {ask} from './dialogs.js';
import {byId, fill, h} from './dom.js';
import {forgetDraft} from './drafts.js';
import {number, t, tn} from './i18n.js';
import {explain} from './refusal_text.js';
import {ignoreTaps} from './tap_filter.js';
import {OPERATIONS, UNDO, buttonClass} from './transitions.js';

const MOST = 50;

export class Batch {
  /**
   * `canAct()`: whether operations may be sent now; `offered(item)` lists those on an item. `onChange(tags)`
   * redraws items, `onFull()` is called beyond MOST, and `onDone(text, {tag, kind, undo})` tells the result, like
   * Notices.say.
   */
  constructor(board, {model, actions, canAct, offered, onChange, onFull, onDone}) {
    Object.assign(this, {board, model, actions, canAct, offered, onChange, onFull, onDone});
    this.tags = new Set();
  }

  toggle(tag) {
    if (this.tags.has(tag)) this.tags.delete(tag);
    else if (this.tags.size < MOST) this.tags.add(tag);
    else this.onFull();
    this.onChange([tag]);
    this.draw({isOwn: true});
  }

  clear() {
    const tags = [...this.tags];
    this.tags.clear();
    this.onChange(tags);
    this.draw();
  }

  /** `isOwn`: the user has changed the batch, so they expect the buttons to move. */
  draw({isOwn = false} = {}) {
    for (const tag of this.tags) if (!this.model.items.has(tag)) this.tags.delete(tag);
    const bar = byId('batch');
    const possible = [...new Set([...this.tags].flatMap((tag) => this.offered(this.model.items.get(tag))))];
    const drawn = `${this.tags.size} ${possible} ${this.canAct()}`;
    if (bar.dataset.drawn === drawn) return; // a touch must end on the button on which it began
    bar.dataset.drawn = drawn;
    bar.hidden = this.tags.size === 0;
    document.body.classList.toggle('choosing', !bar.hidden);
    if (bar.hidden) return;
    if (!isOwn) ignoreTaps(bar);
    fill(
      bar,
      h('strong', {}, tn('batch.chosen', this.tags.size)),
      ...possible.map((operation) => h('button', {type: 'button', class: buttonClass(operation),
        'aria-disabled': this.canAct() ? null : 'true', title: this.canAct() ? null : t('live.cannot'),
        onclick: () => { if (this.canAct()) this.#act(operation); }}, t(`operation.${operation}`))),
      h('button', {type: 'button', onclick: () => this.clear()}, t('batch.none')),
    );
  }

  async #act(operation) {
    const tags = [...this.tags];
    let fields;
    try {
      fields = await ask(operation, {board: this.board, count: tags.length, items: this.model.items.values()});
    } catch (problem) {
      this.onDone(explain(problem), {kind: 'refused'});
      return;
    }
    if (fields !== null) await this.#send(operation, tags, fields, 'batch.done');
  }

  /** Sends an operation and tells the result, with a button to take it back where that is possible. */
  async #send(operation, tags, fields, key) {
    const {actions} = this;
    const free = tags.filter((tag) => !actions.sending.has(tag));
    if (free.length === 0) return; // a second touch
    const untilMs = performance.now() + 1000 * UNDO.within_s; // from before the server's clock counts
    const result = await actions.runMany(operation, free, fields);
    if (result === null) return;
    const {done, of} = result;
    // Refused items stay chosen, each with its reason.
    const refused = tags.filter((tag) => actions.refusals.has(tag));
    for (const tag of tags) if (!refused.includes(tag)) this.tags.delete(tag);
    this.onChange(tags);
    this.draw();
    const undo = this.#undoOf(operation, free.filter((tag) => !refused.includes(tag)), untilMs);
    const said = t(key, {done: number(done), of: number(of)});
    if (refused.length === 0) {
      forgetDraft(operation);
      this.onDone(said, {kind: 'done', undo});
    } else {
      this.onDone(`${said} ${refused[0]}: ${actions.said(refused[0])}`, {kind: 'refused', tag: refused[0], undo});
    }
  }

  /** How a notice takes back what was done with `tags`: with each that nobody has touched since; or null. */
  #undoOf(operation, tags, untilMs) {
    const back = OPERATIONS.get(operation)?.undone_by;
    const left = () => tags.filter((tag) => this.actions.isLatest(tag));
    if (!back || left().length === 0) return null;
    return {
      key: UNDO.key, untilMs, label: tn('batch.undo', left().length),
      isOffered: () => left().length > 0,
      act: () => this.#send(back, left(), {}, 'batch.undone'),
    };
  }
}
