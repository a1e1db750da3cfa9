// What the device keeps between visits, in IndexedDB. Every function throws where nothing can be stored.
//
// 'boards' has the last known state of boards, 'items' their items; both belong to one worker (kept_board.js).
// 'waiting' has operations that wait for the network (waiting_operations.js).

let opening = null;

function open() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open('occupancy', 1);
    request.onupgradeneeded = () => {
      const database = request.result;
      database.createObjectStore('boards', {keyPath: 'board'});
      database.createObjectStore('items', {keyPath: 'board'});
      database.createObjectStore('waiting', {keyPath: 'id', autoIncrement: true});
    };
    request.onsuccess = () => {
      request.result.onversionchange = () => { // a page of a newer version
        request.result.close();
        opening = null;
      };
      request.result.onclose = () => { opening = null; }; // the user has removed the site's data
      resolve(request.result);
    };
    request.onerror = () => reject(request.error);
  });
  opening.catch(() => { opening = null; });
  return opening;
}

/**
 * One transaction over stores. `work(stores)` gets them by name, makes all requests at once and may
 * return one of them; answers that one's result when the transaction is complete.
 */
export async function transact(names, mode, work) {
  const database = await open();
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(names, mode);
    const stores = Object.fromEntries(names.map((name) => [name, transaction.objectStore(name)]));
    const request = work(stores);
    transaction.oncomplete = () => resolve(request?.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

/** All operations that wait, or were refused, in their order; a store as WaitingOperations takes it. */
export const waitingStore = {
  all: () => transact(['waiting'], 'readonly', ({waiting}) => waiting.getAll()),
  get: (id) => transact(['waiting'], 'readonly', ({waiting}) => waiting.get(id)),
  put: (record) => transact(['waiting'], 'readwrite', ({waiting}) => waiting.put(record)),
  remove: (id) => transact(['waiting'], 'readwrite', ({waiting}) => { waiting.delete(id); }),
};
