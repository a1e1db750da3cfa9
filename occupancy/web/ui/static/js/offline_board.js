// The board page without the server: it shows the board that was kept, of when it is, and for whom.

import {ago, moment, t} from './i18n.js';
import {keptBoard} from './kept_board.js';
import * as session from './session.js';

export class OfflineBoard {
  /** `onEnd()` is called when the kept board must no longer be shown. */
  constructor(board, onEnd) {
    this.board = board;
    this.onEnd = onEnd;
    this.kept = null;
  }

  /** Opens the kept board; null if there is none, or the server has answered meanwhile. */
  async open() {
    const kept = await keptBoard(this.board);
    if (kept === null || session.isKnown()) return null;
    this.kept = kept;
    if (kept.untilMs !== null) {
      const leftMs = Math.min(kept.untilMs - Date.now(), 0x7fffffff); // setTimeout takes no more
      this.timer = setTimeout(() => this.onEnd(), leftMs);
    }
    return kept;
  }

  close() {
    clearTimeout(this.timer);
    this.kept = null;
  }

  /** The worker of the session, or of the kept board; or null. */
  worker() {
    return session.current()?.worker ?? this.kept?.worker ?? null;
  }

  /** 'This is the board as Ana saw it at 9:17 …'; '' if none is shown. */
  sentence() {
    if (this.kept === null) return '';
    const {worker, heardMs, heardDeviceMs} = this.kept;
    return t('kept.shown', {name: worker.name, since: moment(heardMs), ago: age(heardDeviceMs)});
  }
}

/** How long ago something was by the device's clock: '12 min ago'. */
export function age(deviceMs) {
  return ago(new Date(deviceMs).toISOString(), Date.now());
}
