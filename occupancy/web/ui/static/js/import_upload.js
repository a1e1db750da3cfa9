// Sends a file. fetch() tells no progress of what is sent, so this is an XMLHttpRequest.

import {Problem} from './api.js';
import * as session from './session.js';

/**
 * Sends `file` (a File or a Blob) for an import. `onProgress(share)` hears 0 to 1; at 1 the server reads
 * it. Resolves to what the server found in it; rejects with a Problem, of code 'aborted' after `signal`.
 */
export function upload(board, file, {name, encoding, sheet}, {onProgress, signal}) {
  const query = new URLSearchParams({name});
  if (encoding) query.set('encoding', encoding);
  if (sheet) query.set('sheet', sheet);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const lost = (code) => () => reject(new Problem({code, status: 0, detail: code}));
    request.open('POST', `/api/boards/${board}/imports?${query}`);
    request.responseType = 'json';
    request.setRequestHeader('Accept', 'application/json');
    request.setRequestHeader('Content-Type', 'application/octet-stream');
    request.setRequestHeader('X-CSRF-Token', session.current()?.csrf_token ?? '');
    request.upload.addEventListener('progress', ({loaded, total}) => { if (total) onProgress(loaded / total); });
    request.upload.addEventListener('load', () => onProgress(1));
    request.addEventListener('load', () => {
      if (request.status === 201 && request.response) resolve(request.response);
      else reject(new Problem({code: 'internal_error', detail: '', ...request.response, status: request.status}));
    });
    request.addEventListener('error', lost('unreachable'));
    request.addEventListener('abort', lost('aborted'));
    signal.addEventListener('abort', () => request.abort());
    request.send(file);
  });
}
