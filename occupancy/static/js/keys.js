// The keyboard: shortcuts for people, and what a barcode scanner types.
//
// A scanner types a tag faster than anybody can, and ends it with Enter, wherever the focus is. So
// keys are watched as they come: four or more with less than 35 ms between them, then Enter, are a
// scan. What of it has landed in a text field is taken out again.

const SCAN_GAP_MS = 35;
const SCAN_LENGTH = 4;

export class Scanner {
  /** `onScan(text)` gets what was scanned. */
  constructor(onScan) {
    this.onScan = onScan;
    this.text = '';
    this.lastMs = 0;
  }

  /** Takes a keydown; answers true where it was the end of a scan, which it has handled. */
  take(event) {
    // When the key came, not when the page had time for it: that may be busy drawing.
    const nowMs = event.timeStamp;
    const isFast = nowMs - this.lastMs < SCAN_GAP_MS;
    this.lastMs = nowMs;
    if (event.key === 'Enter') {
      const scanned = this.text;
      const isScan = isFast && scanned.length >= SCAN_LENGTH;
      this.text = '';
      if (!isScan) return false;
      event.preventDefault();
      event.stopPropagation();
      takeOut(event.target, scanned);
      this.onScan(scanned);
      return true;
    }
    if (event.key.length !== 1 || event.ctrlKey || event.metaKey || event.altKey) return false;
    this.text = isFast ? this.text + event.key : event.key;
    return false;
  }

  /** Whether keys come as fast as only a scanner types: shortcuts must wait. */
  get isTyping() {
    return this.text.length >= 2;
  }
}

function takeOut(field, scanned) {
  if (typeof field?.value !== 'string' || !field.value.endsWith(scanned)) return;
  field.value = field.value.slice(0, -scanned.length);
  field.dispatchEvent(new Event('input', {bubbles: true}));
}

/** The tag that a scan stands for: a tag as it is, or the last part of an item's address. */
export function tagOf(scanned) {
  const address = /\/boards\/[^/]+\/items\/([^/?#]+)/.exec(scanned);
  if (!address) return scanned.trim();
  try {
    return decodeURIComponent(address[1]);
  } catch {
    return address[1];
  }
}

/**
 * Shortcuts: `map` has functions by key. A letter waits for a moment, because it may be the first
 * one of a scan; nothing happens while somebody types into a field or a dialog is open.
 */
export function listen(map, scanner) {
  let waiting;
  document.addEventListener('keydown', (event) => {
    clearTimeout(waiting);
    // What is scanned into a dialog is meant for it: a badge, or a PIN.
    if (document.querySelector('dialog[open]')) return;
    if (scanner.take(event)) return;
    const isField = event.target.closest('input, textarea, select, [contenteditable]');
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (isField && event.key !== 'Escape') return;
    const action = map[event.key];
    if (!action) return;
    if (event.key === 'Enter' && event.target.closest('button, a, summary')) return;
    if (event.key === ' ' && event.target.closest('button, summary')) return;
    if (/^[a-z]$/.test(event.key)) {
      waiting = setTimeout(() => action(event), SCAN_GAP_MS + 15);
      return;
    }
    event.preventDefault();
    action(event);
  }, true);
}
