// The keyboard: shortcuts for people, and a barcode scanner among the keys.
//
// scanner.js decides which keys are a scan, and when a letter may be a shortcut.

import {BEGIN_NO_SCAN, Scanner} from './scanner.js';

/**
 * Shortcuts: `map` has functions by key; `scanning` are the page's hooks from scan.js. Shortcuts are
 * off while somebody types into a field or a dialog is open.
 */
export function listen(map, scanning) {
  const act = (event) => {
    if (document.querySelector('dialog[open]')) return false;
    if (event.ctrlKey || event.metaKey || event.altKey || !map[event.key]) return false;
    const isField = event.target.closest('input, textarea, select, [contenteditable]');
    if (isField && event.key !== 'Escape') return false;
    if (event.key === 'Enter' && event.target.closest('button, a, summary')) return false;
    if (event.key === ' ' && event.target.closest('button, summary')) return false;
    map[event.key](event);
    return true;
  };
  const scanner = new Scanner({
    ...scanning,
    onLone(event, label) {
      // An item whose whole tag is this letter looks like a shortcut; selecting it is harmless.
      if (label.isKnown) scanning.onScan(label);
      else act(event);
    },
  });
  document.addEventListener('keydown', (event) => {
    if (scanner.press(event)) return;
    if (event.key.length === 1 && !BEGIN_NO_SCAN.has(event.key)) return; // onLone follows, or a scan
    if (act(event)) event.preventDefault();
  }, true);
  document.addEventListener('keyup', (event) => scanner.release(event), true);
}
