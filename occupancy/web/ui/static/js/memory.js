// What the device or the tab remembers of a page. A browser may forbid it; then nothing is remembered.

/** `kind` is 'localStorage' (the device) or 'sessionStorage' (the tab). Null for nothing. */
export function recall(kind, key) {
  try {
    return globalThis[kind].getItem(key);
  } catch {
    return null;
  }
}

/** What was remembered as JSON; null for nothing, or for what is none. */
export function recallJson(kind, key) {
  try {
    return JSON.parse(recall(kind, key));
  } catch {
    return null;
  }
}

/** Remembers a text; null forgets it. */
export function remember(kind, key, text) {
  try {
    if (text === null) globalThis[kind].removeItem(key);
    else globalThis[kind].setItem(key, text);
  } catch {
    // forbidden, or full
  }
}
