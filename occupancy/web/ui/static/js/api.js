// Requests to the API: JSON, the session's CSRF token, errors as Problem. persistent_send.js sends them again.

import {elapsed, readClock} from './clock.js';

let csrfToken = null;
let person = null; // the id of who is signed in
let askForPin = async () => false;

/** A refusal or a failure: the fields of the problem document, or code 'unreachable'. */
export class Problem extends Error {
  constructor(fields) {
    super(fields.detail);
    Object.assign(this, fields);
  }

  /** Whether the request may have taken effect; sending it again with its key is safe. */
  get isUncertain() {
    return this.code === 'unreachable' || this.status >= 500;
  }
}

/** The session in which requests are sent: its CSRF token, and the id of its worker; nulls for none. */
export function setSession(token, worker) {
  csrfToken = token;
  person = worker;
}

/**
 * Returns a function that answers whether somebody else is signed in by now, or nobody. To them nothing is told of
 * what was begun before, and nothing of it is sent in their name.
 */
export function watchPerson() {
  const before = person;
  return () => person !== before;
}

/** `ask(method)` asks for the PIN after a refusal as 'pin_required'; answers whether it was right. */
export function onPinRequired(ask) {
  askForPin = ask;
}

/**
 * One request. Returns the decoded body (null for 204); throws Problem. `cache` is fetch's. Where the server
 * requires the PIN, the user is asked for it, and the same request is sent again.
 */
export async function send(method, path, options = {}) {
  const isAnothers = watchPerson();
  try {
    return await request(method, path, options);
  } catch (problem) {
    if (problem.code !== 'pin_required' || isAnothers() || !await askForPin(method)) throw problem;
    return request(method, path, options);
  }
}

async function request(method, path, {body, headers = {}, timeoutMs = 15000, cache = 'default'}) {
  const all = {Accept: 'application/json', ...headers};
  if (body !== undefined) all['Content-Type'] = 'application/json';
  if (method !== 'GET' && csrfToken) all['X-CSRF-Token'] = csrfToken;
  const askedMs = elapsed();
  let response;
  let answer;
  try {
    response = await fetch(path, {
      method,
      headers: all,
      cache,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    });
    readClock(response, askedMs);
    answer = response.status === 204 ? null : await response.json();
  } catch (error) {
    throw new Problem({code: 'unreachable', status: 0, detail: String(error)});
  }
  if (!response.ok) throw new Problem({code: 'internal_error', ...answer, status: response.status});
  return answer;
}

export const get = (path, options) => send('GET', path, options);

/** A new Idempotency-Key. (crypto.randomUUID exists in secure contexts only.) */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function sleep(ms) {
  return new Promise((resolve) => { setTimeout(resolve, ms); });
}
