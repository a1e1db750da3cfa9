// The settings of the page's board: the titles of its steps, what an item is called, what is shown of it.
//
// A stream says which version they have, when it is ready and at each change. Where that is another
// one than the page's, the page loads the board again, and tries again as long as that fails.

import * as api from './api.js';
import {isSingular, language, number, tn} from './i18n.js';

const loaded = new Map(); // board → its last answer

/** The settings of a board that this page has loaded, or null. */
export function settingsOf(board) {
  return loaded.get(board)?.settings ?? null;
}

export class BoardSettings {
  /** `onLoaded(board)` is called with the board each time when it was loaded. */
  constructor(board, onLoaded) {
    this.name = board;
    this.address = `/api/boards/${board}`;
    this.onLoaded = onLoaded;
    this.board = null;
    this.loading = null;
    this.turn = 0; // of clear(): what was asked for before is void
  }

  /** The stream says that the settings have this version. */
  told(version) {
    if (version !== this.board?.settings.version) this.load().catch(() => {}); // the next one tries again
  }

  /** Forgets the board: the user may not see it, or not yet. */
  clear() {
    this.board = null;
    this.loading = null;
    this.turn += 1;
    loaded.delete(this.name);
  }

  show(board) {
    this.board = board;
    this.onLoaded(board);
  }

  /** Loads the board; one request at a time. */
  load() {
    this.loading ??= this.#load(this.turn);
    return this.loading;
  }

  async #load(mine) {
    try {
      const board = await api.get(this.address);
      if (mine !== this.turn) return; // it is not to be shown any more
      this.show(board);
      loaded.set(this.name, board);
    } finally {
      if (mine === this.turn) this.loading = null;
    }
  }

  /** The title of a step; its id until the board is loaded, or where it has left the list. */
  titleOf(step) {
    return this.board?.step_titles[step] ?? step;
  }

  /** '3 spools'. */
  items(count) {
    return itemsOf(this.board?.item_name, count);
  }

  /** The attributes of an item that the board shows, in its order: [[name, value], …]. */
  shownOf(item) {
    return (this.board?.settings.shown_attributes ?? [])
      .filter((name) => item.attributes[name] !== undefined && item.attributes[name] !== null)
      .map((name) => [name, String(item.attributes[name])]);
  }
}

/** A number of items as a board calls them. */
export function itemsOf(name, count) {
  const noun = name?.[language];
  if (!noun) return tn('board.items', count);
  return `${number(count)} ${isSingular(count) ? noun.one : noun.many}`;
}
