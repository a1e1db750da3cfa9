// Waiting operations: the holder's own PAUSE or COMPLETE, touched without the network, waits for it; also one
// that was sent and got no answer.
//
// It is stored with its Idempotency-Key and the item's epoch, and sent once the server answers, in order,
// by one tab, and only in a session of the worker who touched it. The epoch makes it apply to that hold
// and to no later one; the key makes it take effect once, however often it is sent. The server decides: a
// refusal is kept until its worker has closed it, and nothing is merged.
//
// The server keeps a key for 24 hours. An operation that is older, by some margin, is given up.
// Its age is counted by the device's clock, which may be set meanwhile; then the epoch still protects.

const LOCK = 'occupancy-waiting';
const MOST_MS = 23 * 3600 * 1000;
const FORGET_MS = 7 * 24 * 3600 * 1000; // a refusal that its worker never came back for
const RETRY_MS = 10000;
const SOON_MS = 1000; // a server that restarts answers again within seconds

export class WaitingOperations {
  /**
   * `store` has all(), get(id), put(record) and remove(id). `send(record)` sends one operation, and throws
   * api.Problem. `worker()` returns the worker of the session that the server knows of, or null; `ask()`
   * asks the server for it again. `newKey()` makes an Idempotency-Key.
   */
  constructor({store, send, worker, ask, newKey, now = Date.now, isOnline = () => navigator.onLine,
    locks = globalThis.navigator?.locks, Channel = globalThis.BroadcastChannel}) {
    Object.assign(this, {store, send, worker, ask, newKey, now, isOnline, locks});
    this.records = []; // as stored, in order
    this.listeners = new Set();
    this.isDelivering = false;
    this.channel = Channel ? new Channel(LOCK) : null;
    this.channel?.addEventListener('message', () => this.#read());
  }

  /** Reads what waits, and sends it from now on whenever that is possible. */
  async start() {
    await this.#read();
    setInterval(() => this.#deliverDue(), RETRY_MS);
  }

  /** Calls `listener(done)` after each change; `done` is the record that has just been carried out. */
  onChange(listener) {
    this.listeners.add(listener);
  }

  /** What waits for an item, of any worker of this device; or undefined. */
  of(board, tag, worker) {
    return this.records.find((each) => !each.refused && each.board === board && each.tag === tag
      && each.worker.id === worker);
  }

  /**
   * Lets an operation wait; its `body` has the epoch of the hold. One that was sent, and whose answer was
   * lost, comes with its `key` and is tried again soon. Answers whether it could be stored.
   */
  async add({board, tag, operation, body, worker, key = null}) {
    if (this.of(board, tag, worker.id)) return false;
    const atMs = this.now();
    try {
      await this.store.put({
        board, tag, operation, body, worker: {id: worker.id, name: worker.name}, key: key ?? this.newKey(), atMs,
        triedMs: key === null ? null : atMs, refused: null,
      });
    } catch {
      return false; // the browser stores nothing
    }
    await this.#changed();
    if (key !== null) setTimeout(() => this.#deliverDue(), SOON_MS);
    return true;
  }

  /** Takes back an operation. Answers false if it may have been sent. */
  async cancel(id) {
    const record = await this.store.get(id);
    await this.store.remove(id);
    await this.#changed();
    return !record?.triedMs;
  }

  async close(id) {
    await this.store.remove(id);
    await this.#changed();
  }

  /** Sends what waits for the present worker, unless another tab is at it. */
  async deliver() {
    if (this.isDelivering) return;
    this.isDelivering = true;
    try {
      if (!this.locks) await this.#sendAll(); // two tabs may send it: with one key, so it takes effect once
      else {
        await this.locks.request(LOCK, {ifAvailable: true}, (lock) => (lock ? this.#sendAll() : undefined));
      }
    } catch {
      // The storage is gone: what waits cannot be read.
    }
    this.isDelivering = false;
  }

  #deliverDue() {
    // What was never tried can be cancelled for certain, so the device must have a network.
    if (this.isOnline() && this.records.some((each) => this.#isDue(each))) this.deliver();
  }

  #isDue(record) {
    return !record.refused
      && (record.worker.id === this.worker()?.id || this.now() - record.atMs > MOST_MS);
  }

  async #sendAll() {
    await this.#read();
    for (const {id} of [...this.records]) {
      const record = await this.store.get(id);
      if (record === undefined) continue; // cancelled meanwhile
      if (record.refused) {
        if (this.now() - record.atMs > FORGET_MS) await this.close(id);
      } else if (this.now() - record.atMs > MOST_MS) {
        await this.#refuse(record, {code: record.triedMs ? 'given_up_tried' : 'given_up'});
      } else if (record.worker.id === this.worker()?.id && !await this.#sendOne(record)) {
        return;
      }
    }
  }

  /** Sends one. Answers whether the next may be sent. */
  async #sendOne(record) {
    await this.store.put({...record, triedMs: record.triedMs ?? this.now()});
    try {
      await this.send(record);
    } catch (problem) {
      if (problem.isUncertain || problem.code === 'rate_limited') return false;
      if (problem.status === 401 || problem.code === 'csrf') {
        await this.ask(); // the session has ended, or another tab has changed it
        return false;
      }
      const {code, status, detail, holder, since, item} = problem;
      await this.#refuse(record, {code, status, detail, holder, since, item});
      return true;
    }
    await this.store.remove(record.id);
    await this.#changed(record);
    return true;
  }

  async #refuse(record, problem) {
    await this.store.put({...record, refused: problem});
    await this.#changed();
  }

  async #changed(done = null) {
    this.channel?.postMessage('changed');
    await this.#read(done);
  }

  async #read(done = null) {
    try {
      this.records = await this.store.all();
    } catch {
      this.records = []; // the browser stores nothing
    }
    for (const listener of this.listeners) listener(done);
  }
}
