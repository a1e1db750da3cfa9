// Uploads: the body of the request is the file itself. fetch() tells no progress of what is sent, so this
// is an XMLHttpRequest.

import {Problem} from './api.js';
import * as session from './session.js';

/**
 * Sends `file` (a File or a Blob); resolves to the decoded answer. `onProgress(share)` hears 0 to 1; at 1
 * the server reads it. Rejects with a Problem, of code 'aborted' after `signal`. Without `timeoutMs` it
 * waits for as long as the connection lives.
 */
export function sendFile(path, file, {onProgress = () => {}, signal = null, timeoutMs = 0} = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const lost = (code) => () => reject(new Problem({code, status: 0, detail: code}));
    request.open('POST', path);
    request.responseType = 'json';
    request.timeout = timeoutMs;
    request.setRequestHeader('Accept', 'application/json');
    request.setRequestHeader('Content-Type', 'application/octet-stream');
    request.setRequestHeader('X-CSRF-Token', session.current()?.csrf_token ?? '');
    request.upload.addEventListener('progress', ({loaded, total}) => { if (total) onProgress(loaded / total); });
    request.upload.addEventListener('load', () => onProgress(1));
    request.addEventListener('load', () => {
      const {status, response} = request;
      if (status >= 200 && status < 300 && response) resolve(response);
      else reject(new Problem({code: 'internal_error', detail: '', ...response, status}));
    });
    request.addEventListener('error', lost('unreachable'));
    request.addEventListener('timeout', lost('unreachable'));
    request.addEventListener('abort', lost('aborted'));
    signal?.addEventListener('abort', () => request.abort());
    request.send(file);
  });
}
