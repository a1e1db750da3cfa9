// The clock: the server's time, computed from a monotonic clock.
//
// Tablets' clocks are wrong, and get corrected while a page is open. So nothing here depends on the
// device's time: durations come from performance.now(), and the server's time is that plus an offset.
// A response's Date, exact to the second, bounds the offset from both sides, an event's timestamp from
// below. Overlapping bounds are narrowed. If bounds contradict each other, the newest count: the
// server's clock was set, or this device slept (performance.now() may stand still meanwhile).

const DRIFT = 1e-4; // ms per ms by which two clocks may run apart
const DATE_MS = 1000; // the resolution of a Date

export class Clock {
  constructor(now = () => performance.now(), guess = () => Date.now()) {
    this.now = now;
    this.low = null; // bounds of the offset, at the time atMs
    this.high = null;
    this.atMs = 0;
    this.guessed = guess() - now(); // until the first response
  }

  serverNow() {
    return this.now() + (this.low === null ? this.guessed : (this.low + this.high) / 2);
  }

  /** Takes a response that has just arrived, to a request sent at `askedMs`. */
  learnAnswer(dateMs, askedMs) {
    this.#narrow(dateMs - this.now(), dateMs + DATE_MS - askedMs);
  }

  /** Takes a time that the server's clock has passed. */
  learnPast(atMs) {
    const low = atMs - this.now();
    if (this.low === null) return; // it may be long past: only a response bounds it from above
    this.#narrow(low, low > this.high ? low + DATE_MS : Infinity);
  }

  #narrow(low, high) {
    const now = this.now();
    if (this.low !== null) {
      const spread = DRIFT * (now - this.atMs);
      const lowest = Math.max(low, this.low - spread);
      const highest = Math.min(high, this.high + spread);
      [this.low, this.high] = lowest <= highest ? [lowest, highest] : [low, high];
    } else {
      [this.low, this.high] = [low, high];
    }
    this.atMs = now;
  }
}

const clock = new Clock();

/** Milliseconds since the page began, by a monotonic clock. */
export const elapsed = () => performance.now();

/** The server's time (ms), from which durations are counted and shown. */
export const serverNow = () => clock.serverNow();

/** Takes the server's time from a response to a request sent at `askedMs`. */
export function readClock(response, askedMs) {
  const dateMs = Date.parse(response.headers.get('Date'));
  if (!Number.isNaN(dateMs)) clock.learnAnswer(dateMs, askedMs);
}

/** Takes it from the timestamp of an event that has just arrived. */
export function readEvent(event) {
  const atMs = Date.parse(event.at);
  if (!Number.isNaN(atMs)) clock.learnPast(atMs);
}
