// Actions: from a touch to the server's answer; nothing is shown as done before it.
//
// During an operation its item is marked as 'sending' and takes no second touch. Each intention has
// one Idempotency-Key, so a double tap or a retry never counts twice. A refusal is shown at the item
// until the item changes or the user tries something else.

import {newKey, watchPerson} from './api.js';
import {t} from './i18n.js';
import {sendOnce} from './persistent_send.js';
import {explain} from './refusal_text.js';
import {UNDO} from './transitions.js';

const LOST_MS = 5000; // an operation that may wait for the server is not held up by a dead network

export class Actions {
  /** `model.putAnswer` gets the item of each answer; `onChange(tag)` redraws an item. */
  constructor(board, model, onChange) {
    this.path = `/api/boards/${board}`;
    this.model = model;
    this.onChange = onChange;
    this.sending = new Map(); // tag → operation
    this.refusals = new Map(); // tag → {text, version}
    this.changes = new Map(); // tag → the version that the user's last operation has made
  }

  /**
   * Carries out an operation on an item. Answers 'done', 'refused' or 'waiting', or 'left' if somebody else is
   * signed in by then; never throws. If the server cannot be reached, `wait(key)` may let the operation wait for it,
   * and then answers true.
   */
  async run(operation, tag, fields = {}, {wait = null} = {}) {
    if (this.sending.has(tag)) return 'refused';
    this.sending.set(tag, operation);
    this.refusals.delete(tag);
    this.onChange(tag);
    const key = newKey();
    const isAnothers = watchPerson();
    let result = 'refused';
    const handOver = async ({code}) => {
      if (code === 'unreachable' && await wait?.(key)) result = 'waiting';
      return result === 'waiting';
    };
    try {
      const answer = await sendOnce('POST', `${this.path}/items/${tag}/${operation}`,
        {body: fields, ...(wait && {timeoutMs: LOST_MS})}, {key, handOver});
      this.#succeed(tag, answer);
      result = 'done';
    } catch (problem) {
      if (result !== 'waiting') this.#refuse(tag, problem, operation);
    }
    if (isAnothers()) {
      this.forget([tag]);
      result = 'left';
    }
    this.sending.delete(tag);
    this.onChange(tag);
    return result;
  }

  /**
   * Carries out an operation on up to 50 items; answers how many succeeded, of how many, or null if somebody else is
   * signed in by then.
   */
  async runMany(operation, tags, fields = {}) {
    const free = tags.filter((tag) => !this.sending.has(tag)).slice(0, 50);
    for (const tag of free) {
      this.sending.set(tag, operation);
      this.refusals.delete(tag);
      this.onChange(tag);
    }
    let done = 0;
    const isAnothers = watchPerson();
    try {
      const {results} = await sendOnce('POST', `${this.path}/batch`,
        {body: {operation, tags: free, ...fields}});
      for (const result of results) {
        if (result.status === 200) {
          done += 1;
          this.#succeed(result.tag, result);
        } else {
          this.#refuse(result.tag, result);
        }
      }
    } catch (problem) {
      for (const tag of free) this.#refuse(tag, problem);
    }
    if (isAnothers()) this.forget(free);
    for (const tag of free) {
      this.sending.delete(tag);
      this.onChange(tag);
    }
    return isAnothers() ? null : {done, of: free.length};
  }

  /** Forgets what became of the user's operations, which is not for the next user: on these items, or on all. */
  forget(tags = [...this.refusals.keys(), ...this.changes.keys()]) {
    for (const tag of tags) {
      this.refusals.delete(tag);
      this.changes.delete(tag);
    }
  }

  /** Whether an item is still as the user's last operation here has left it. */
  isLatest(tag) {
    const item = this.model.items.get(tag);
    return item !== undefined && item.version === this.changes.get(tag);
  }

  /** The text of an item's refusal; '' if there is none, or the item has changed since. */
  refusal(item) {
    const refusal = this.refusals.get(item.tag);
    if (!refusal || item.version > refusal.version) return '';
    return refusal.text;
  }

  /** The text of an item's last refusal, even if the item has changed since; '' for none. */
  said(tag) {
    return this.refusals.get(tag)?.text ?? '';
  }

  #succeed(tag, {item, changed}) {
    this.#put(item);
    if (changed) this.changes.set(tag, item.version);
    else this.changes.delete(tag);
  }

  /** Ignores an answer that comes after its item was removed, or after the sign-out. */
  #put(item) {
    if (this.model.items.has(item.tag)) this.model.putAnswer(item);
  }

  #refuse(tag, problem, operation = null) {
    if (problem.item) this.#put(problem.item); // the card corrects itself
    const version = problem.item?.version ?? this.model.items.get(tag)?.version ?? 0;
    const isUndoOver = operation === UNDO.operation && !problem.holder
      && ['wrong_state', 'not_holder'].includes(problem.code);
    this.refusals.set(tag, {text: isUndoOver ? t('refusal.undo_over') : explain(problem), version});
  }
}
