// The last board: what the board page showed, kept on the device for a visit without the server.
//
// It belongs to the worker who was signed in. It is shown for as long as that session would have lasted
// without use, and removed as soon as the server says that somebody else is signed in, or nobody.

import {transact} from './device_store.js';

const MOST_BOARDS = 5;

/**
 * Keeps a board. `record` has {board, worker, untilMs, heardDeviceMs, stamp …}; the items are written
 * only if those with this stamp are not there already.
 */
export async function keep(record, items) {
  await transact(['boards', 'items'], 'readwrite', ({boards, items: stored}) => {
    const asked = boards.getAll();
    asked.onsuccess = () => {
      const others = asked.result.filter((each) => each.board !== record.board);
      const known = asked.result.find((each) => each.board === record.board);
      boards.put(record);
      if (known?.stamp !== record.stamp) stored.put({board: record.board, items});
      others.sort((one, other) => other.heardDeviceMs - one.heardDeviceMs);
      for (const {board} of others.slice(MOST_BOARDS - 1)) {
        boards.delete(board);
        stored.delete(board);
      }
    };
  });
}

export async function keptBoard(board) {
  try {
    const record = await transact(['boards'], 'readonly', ({boards}) => boards.get(board));
    if (!isShown(record)) return null;
    const kept = await transact(['items'], 'readonly', ({items}) => items.get(board));
    return kept ? {...record, items: kept.items} : null;
  } catch {
    return null;
  }
}

export async function keptBoards() {
  try {
    return (await transact(['boards'], 'readonly', ({boards}) => boards.getAll())).filter(isShown);
  } catch {
    return [];
  }
}

/** Removes what was kept for others than this worker; null: all. For when the server has said who is signed in. */
export async function keepOnly(worker) {
  try {
    await transact(['boards', 'items'], 'readwrite', ({boards, items}) => {
      const asked = boards.getAll();
      asked.onsuccess = () => {
        for (const each of asked.result.filter(({worker: {id}}) => id !== worker)) {
          boards.delete(each.board);
          items.delete(each.board);
        }
      };
    });
  } catch {
    // Nothing can be stored, so nothing is.
  }
}

/** `untilMs` and now are both of the device's clock, so it does not matter whether that is right. */
function isShown(record) {
  return record !== undefined && (record.untilMs === null || Date.now() < record.untilMs);
}
