// The way to the page of labels: few tags are in its address, many are kept for it in this tab.

const KEY = 'occupancy-labels';
const MOST_CHARS = 1500; // of an address, which the server bounds

export function labelsAddress(board, tags) {
  const joined = encodeURIComponent(tags.join(','));
  return joined.length > MOST_CHARS ? `/boards/${board}/labels` : `/boards/${board}/labels?tags=${joined}`;
}

/** Keeps the tags for the page of labels, which reads them where its address has none. */
export function keepForLabels(board, tags) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({board, tags}));
  } catch {
    // The browser stores nothing: the page of labels lets the user choose.
  }
}
