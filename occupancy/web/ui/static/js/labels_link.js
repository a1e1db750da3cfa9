// The way to the page of labels: few tags are in its address, many are kept for it in this tab.

import {remember} from './memory.js';

export const KEPT = 'occupancy-labels'; // {board, tags}
const MOST_CHARS = 1500; // of an address, which the server bounds

export function labelsAddress(board, tags) {
  const joined = encodeURIComponent(tags.join(','));
  return joined.length > MOST_CHARS ? `/boards/${board}/labels` : `/boards/${board}/labels?tags=${joined}`;
}

/** Keeps the tags for the page of labels, which reads them where its address has none. */
export function keepForLabels(board, tags) {
  remember('sessionStorage', KEPT, JSON.stringify({board, tags}));
}
