// Keeps the board of a page on the device: soon after it was loaded, every minute, and when it is left.

import {serverNow} from './clock.js';
import {keep} from './kept_board.js';
import * as session from './session.js';

const MOST_ITEMS = 20000;
const FIRST_MS = 2000;
const EVERY_MS = 60000;

export class BoardKeeper {
  /**
   * `read()` returns {items, settings, versionFloor, heardMs}, or null as long as there is nothing to keep.
   * `heardMs` is the server's time at which all of it was known to be so.
   */
  constructor(board, read) {
    this.board = board;
    this.read = read;
    this.page = Math.random();
    this.changes = 0;
  }

  changed() {
    this.changes += 1;
  }

  start() {
    this.stop();
    this.ended = new AbortController();
    const {signal} = this.ended;
    this.first = setTimeout(() => this.keep(), FIRST_MS);
    this.timer = setInterval(() => this.keep(), EVERY_MS);
    document.addEventListener('visibilitychange', () => { if (document.hidden) this.keep(); }, {signal});
    addEventListener('pagehide', () => this.keep(), {signal});
  }

  stop() {
    this.ended?.abort();
    clearTimeout(this.first);
    clearInterval(this.timer);
  }

  async keep() {
    const who = session.current();
    const state = this.read();
    if (who === null || state === null || state.items.size > MOST_ITEMS) return;
    const {items, settings, versionFloor, heardMs} = state;
    const now = Date.now();
    const idleMs = session.idleLeftMs();
    try {
      await keep({
        board: this.board, worker: who.worker, settings, versionFloor, heardMs,
        heardDeviceMs: now - (serverNow() - heardMs), // the age is counted by the clock that goes on
        untilMs: idleMs === null ? null : now + idleMs,
        stamp: `${this.page}-${this.changes}`,
      }, [...items.values()]);
    } catch {
      // The browser stores nothing, or its storage is full: there is no board without the server.
    }
  }
}
