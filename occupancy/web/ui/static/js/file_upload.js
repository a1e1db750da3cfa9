// Uploads: the body of the request is the file itself.

import {Problem} from './api.js';
import * as session from './session.js';

/** Sends a file (a Blob); returns the decoded answer; throws Problem. */
export async function sendFile(path, file, {timeoutMs = 120000} = {}) {
  const headers = {Accept: 'application/json', 'Content-Type': 'application/octet-stream'};
  const token = session.current()?.csrf_token;
  if (token) headers['X-CSRF-Token'] = token;
  let response;
  let answer;
  try {
    response = await fetch(path, {method: 'POST', headers, body: file, signal: AbortSignal.timeout(timeoutMs)});
    answer = await response.json();
  } catch (error) {
    throw new Problem({code: 'unreachable', status: 0, detail: String(error)});
  }
  if (!response.ok) throw new Problem({code: 'internal_error', ...answer, status: response.status});
  return answer;
}
