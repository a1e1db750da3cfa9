// The leader: of all tabs of a browser that show the same board, the one that holds the stream.
//
// Web Locks give it, and take it back however a tab ends; they are there under HTTPS and on
// localhost only. Elsewhere the tabs share a lease in localStorage, renewed every two seconds:
// for a moment there may then be two leaders, or none, which costs a second stream or a pause and
// nothing else, because every tab checks the sequence of what it gets. A lease that ends later than
// a new one would is void: a clock was wrong when it was written. Where nothing can be stored, each
// tab leads itself.

const RENEW_MS = 2000;
const LEASE_MS = 3 * RENEW_MS;

export class Leadership {
  /** `onGain` and `onLose` are called when this tab begins and ceases to lead. */
  constructor(name, {onGain, onLose}) {
    this.name = `occupancy-leader-${name}`;
    this.id = String(Math.random());
    this.onGain = onGain;
    this.onLose = onLose;
    this.isLeading = false;
    this.isCandidate = false;
  }

  /** Stand for it: it comes when nobody else has it. */
  stand() {
    if (this.isCandidate) return;
    this.isCandidate = true;
    if (navigator.locks) this.#waitForLock();
    else this.#takeTurns();
  }

  /** Leave it to the others. */
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
        // Two may have written in the same moment: the last one has it, the other sees so next time.
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
