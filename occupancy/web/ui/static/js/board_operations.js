// Operations on the board: what the user may do with an item now, and how a touch or a key does it.

import {offered} from './model.js';
import {operate} from './operate.js';
import * as session from './session.js';

const FOLLOWING = ['live', 'degraded', 'connecting']; // in these an operation may be sent

export class BoardOperations {
  /**
   * `situation()` is {status, steps}: how the page follows the board, and the board's steps. `offline` is the board
   * without the server (offline_board.js), `ends` what may wait for it (waiting_ends.js). `onAct(tag)` is called
   * before and after an operation.
   */
  constructor(board, {model, actions, notices, offline, ends, situation, onAct}) {
    Object.assign(this, {board, model, actions, notices, offline, ends, situation, onAct});
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

  tellHindrance(why, tag) {
    this.notices.say(`${tag}: ${why}`, {kind: 'refused', tag});
  }

  async act(operation, tag) {
    const {board, model, actions, notices} = this;
    this.onAct(tag);
    const known = model.items.get(tag);
    const why = known && this.situation().status === 'offline' ? this.ends.whyNot(operation, known) : '';
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
    await operate(operation, item, {board, actions, notices, ends: this.ends});
    this.onAct(null);
  }
}
