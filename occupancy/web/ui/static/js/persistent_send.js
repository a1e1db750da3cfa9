// Sends a request again while the server is busy or cannot be reached.

import {newKey, send, sleep, watchPerson} from './api.js';

const MOST_WAIT_S = 10; // nobody waits for a minute in front of a page

/**
 * Calls `ask()`, which must be safe to repeat, up to `tries` times; throws the last Problem. `handOver(problem)`
 * may answer true before another try: then somebody else goes on with it, and the Problem is thrown. Nothing is
 * tried again for the next who signs in.
 */
export async function retried(ask, {tries = 4, pause = sleep, handOver = () => false} = {}) {
  const isAnothers = watchPerson();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask();
    } catch (problem) {
      const mayTryAgain = problem.isUncertain || problem.code === 'rate_limited';
      if (!mayTryAgain || attempt === tries || isAnothers() || await handOver(problem)) throw problem;
      const seconds = Math.min(problem.retry_after ?? 2 ** (attempt - 1), MOST_WAIT_S);
      await pause(1000 * seconds * (0.75 + Math.random() / 2));
      if (isAnothers()) throw problem;
    }
  }
}

/** One change. Every try has the same key, so it takes effect once. */
export function sendOnce(method, path, options, {key = newKey(), ...how} = {}) {
  const headers = {...options.headers, 'Idempotency-Key': key};
  return retried(() => send(method, path, {...options, headers}), how);
}
