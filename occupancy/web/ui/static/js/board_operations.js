// Operations on the board: what the user may do with an item now, and how a touch or a key does it.

import {announce} from './dom.js';
import {t} from './i18n.js';
import {offered} from './model.js';
import {operate} from './operate.js';
import * as session from './session.js';
import {ENDS} from './transitions.js';
import {waiting} from './waiting.js';

const FOLLOWING = ['live', 'degraded', 'connecting']; // in these an operation may be sent

export class BoardOperations {
  /**
   * `situation()` is {status, steps}: how the page follows the board, and the board's steps. `offline` is the board
   * without the server (offline_board.js). `onAct(tag)` is called before and after an operation.
   */
  constructor(board, {model, actions, notices, offline, situation, onAct}) {
    Object.assign(this, {board, model, actions, notices, offline, situation, onAct});
  }

  get me() {
    return this.offline.worker()?.id ?? null;
  }

  canAct() {
    return FOLLOWING.includes(this.situation().status) && session.may('worker');
  }

  offered(item) {
    return offered(item, this.me, session.isOffered, this.situation().steps);
  }

  /** Why an operation is not possible now; '' if it is, or if it may wait for the network. */
  hindrance(operation, item) {
    if (waiting.of(this.board, item.tag, this.me)) return t('waiting.already');
    return this.canAct() || this.#mayWait(operation, item) ? '' : t('live.cannot');
  }

  tellHindrance(why, tag) {
    this.notices.say(`${tag}: ${why}`, {kind: 'refused', tag});
  }

  #mayWait(operation, item) {
    return this.situation().status === 'offline' && ENDS.includes(operation) && item.holder?.id === this.me;
  }

  /** Without the server, the holder's own end of the work waits for it. */
  async #wait(operation, item, fields) {
    if (!this.#mayWait(operation, item)) return false;
    const {board, offline} = this;
    const {tag} = item;
    const isStored = await waiting.add({board, item, operation, fields, worker: offline.worker()});
    if (isStored) announce(t('waiting.added', {operation: t(`operation.${operation}`), tag}));
    else this.tellHindrance(t('live.cannot'), tag);
    return true;
  }

  async act(operation, tag) {
    const {board, model, actions, notices} = this;
    this.onAct(tag);
    const known = model.items.get(tag);
    const why = known && this.situation().status === 'offline' ? this.hindrance(operation, known) : '';
    if (why) {
      this.tellHindrance(why, tag); // by a key
      return;
    }
    if (!session.may('worker') && this.offline.kept === null) {
      await session.openDialog();
      if (!session.may('worker')) return;
    }
    const item = model.items.get(tag);
    if (!item || actions.sending.has(tag) || !this.offered(item).includes(operation)) return;
    await operate(operation, item, {board, actions, notices, wait: (...all) => this.#wait(...all)});
    this.onAct(null);
  }
}
