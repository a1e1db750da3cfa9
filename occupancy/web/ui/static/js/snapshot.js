// A board's snapshot: all its items, page by page, and the position to follow it from.

import * as api from './api.js';
import {elapsed, readClock} from './clock.js';

/** Returns {items, cursor, seq, version_floor, etag}, or null if nothing has changed since `etag`. */
export async function loadSnapshot(board, etag) {
  const headers = etag ? {'If-None-Match': etag} : {};
  const askedMs = elapsed();
  const response = await fetch(`/api/boards/${board}/items`, {headers, signal: AbortSignal.timeout(30000)});
  readClock(response, askedMs);
  if (response.status === 304) return null;
  const answer = await response.json();
  if (!response.ok) throw new api.Problem({...answer, status: response.status});
  const {items, cursor, seq} = answer;
  let {version_floor} = answer; // the lowest of all pages: each may come from another process
  for (let {next} = answer; next;) {
    const page = await api.get(`/api/boards/${board}/items?page=${encodeURIComponent(next)}`);
    items.push(...page.items);
    ({next} = page);
    version_floor = Math.min(version_floor, page.version_floor);
  }
  return {items, cursor, seq, version_floor, etag: answer.next ? null : response.headers.get('ETag')};
}
