// The holder's own PAUSE or COMPLETE on a page: it waits for the server where that cannot be reached.

import {announce} from './dom.js';
import {t} from './i18n.js';
import {ENDS} from './transitions.js';
import {waiting, waitingLine} from './waiting.js';

export class WaitingEnds {
  /**
   * `worker()` is the one for whom the page acts, or null; `isOffline()` answers whether the page knows that
   * the server is away, and `canAct()` whether it may act at once.
   */
  constructor(board, {worker, isOffline, canAct}) {
    Object.assign(this, {board, worker, isOffline, canAct});
  }

  mayWait(operation, item) {
    const worker = this.worker();
    return ENDS.includes(operation) && worker !== null && item.holder?.id === worker.id;
  }

  /** Why an operation is not possible now; '' if it is, or if it may wait. */
  whyNot(operation, item) {
    if (this.isWaiting(item.tag)) return t('waiting.already');
    const isPossible = this.canAct() || (this.isOffline() && this.mayWait(operation, item));
    return isPossible ? '' : t('live.cannot');
  }

  isWaiting(tag) {
    return this.#of(tag) !== undefined;
  }

  /** What waits for an item, and a button to take it back; or null. */
  line(tag) {
    const record = this.#of(tag);
    return record ? waitingLine(record) : null;
  }

  /**
   * Lets an operation wait; its `body` has the epoch of the hold. `key` is that of a request whose answer was
   * lost. Answers whether the device could store it.
   */
  async add(operation, tag, body, key = null) {
    const isStored = await waiting.add({board: this.board, tag, operation, body, key, worker: this.worker()});
    if (isStored) announce(t('waiting.added', {operation: t(`operation.${operation}`), tag}));
    return isStored;
  }

  #of(tag) {
    return waiting.of(this.board, tag, this.worker()?.id);
  }
}
