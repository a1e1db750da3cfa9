// Sends a change again until the server has answered it.

import * as api from './api.js';

/**
 * One change with a key of its own, so that it takes effect once however often it is sent. Throws the
 * last Problem.
 */
export async function sendOnce(method, path, options, {tries = 4, pause = api.sleep, key = api.newKey()} = {}) {
  const headers = {...options.headers, 'Idempotency-Key': key};
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await api.send(method, path, {...options, headers});
    } catch (problem) {
      if (!(problem.isUncertain || problem.code === 'rate_limited') || attempt === tries) throw problem;
      await pause(1000 * Math.min(problem.retry_after ?? attempt, 10));
    }
  }
}
