// Leader election: one of the browser's tabs with the same board holds the stream.
//
// Web Locks elect the leader, and are released however a tab ends, but exist only under HTTPS and on
// localhost. Elsewhere the tabs share a lease in localStorage, renewed every two seconds. Then there
// may be two leaders or none for a moment. That costs a second stream or a pause and nothing else,
// because every tab checks the sequence of its events. A lease that ends later than a new one would is
// ignored: a clock was wrong when it was written. Without storage, each tab is its own leader.

const RENEW_MS = 2000;
const LEASE_MS = 3 * RENEW_MS;

export class Leadership {
  /** `onGain` and `onLose` are called when this tab becomes the leader and stops being it. */
  constructor(name, {onGain, onLose}) {
    this.name = `occupancy-leader-${name}`;
    this.id = String(Math.random());
    this.onGain = onGain;
    this.onLose = onLose;
    this.isLeading = false;
    this.isCandidate = false;
  }

  stand() {
    if (this.isCandidate) return;
    this.isCandidate = true;
    if (navigator.locks) this.#waitForLock();
    else this.#takeTurns();
  }

  resign() {
    this.isCandidate = false;
    this.abort?.abort();
    this.release?.();
    clearInterval(this.timer);
    clearTimeout(this.firstTurn);
    if (this.isLeading && !navigator.locks) this.#leave();
    this.#set(false);
  }

  async #waitForLock() {
    this.abort = new AbortController();
    try {
      await navigator.locks.request(this.name, {signal: this.abort.signal}, () => {
        if (!this.isCandidate) return undefined;
        this.#set(true);
        return new Promise((resolve) => { this.release = resolve; });
      });
    } catch (error) {
      if (error.name !== 'AbortError') throw error;
    }
  }

  #takeTurns() {
    const turn = () => {
      try {
        const lease = read(this.name);
        const leftMs = lease?.until - Date.now();
        const isTaken = lease?.id !== this.id && leftMs >= 0 && leftMs <= LEASE_MS;
        if (!isTaken) {
          localStorage.setItem(this.name, JSON.stringify({id: this.id, until: Date.now() + LEASE_MS}));
        }
        // Two may have written at the same time: the last one leads, the other notices at its next turn.
        this.#set(read(this.name)?.id === this.id);
      } catch {
        this.#set(true); // storage is forbidden, or full
      }
    };
    this.timer = setInterval(turn, RENEW_MS);
    this.firstTurn = setTimeout(turn, Math.random() * 100);
  }

  #leave() {
    try {
      if (read(this.name)?.id === this.id) localStorage.removeItem(this.name);
    } catch {
      // Storage is forbidden: there is no lease to leave.
    }
  }

  #set(isLeading) {
    if (isLeading === this.isLeading) return;
    this.isLeading = isLeading;
    if (isLeading) this.onGain();
    else this.onLose();
  }
}

function read(name) {
  const text = localStorage.getItem(name); // throws where storage is forbidden
  try {
    return JSON.parse(text);
  } catch {
    return null; // not ours
  }
}
