// Where the list was scrolled: who comes back from an item finds the board as they left it.

import {recall, remember} from './memory.js';

const key = `occupancy-place-${document.body.dataset.board}`;

/** Keeps what `sighted()` answers when the page is left. */
export function keepPlace(sighted) {
  history.scrollRestoration = 'manual'; // the browser would scroll before the list is there
  addEventListener('pagehide', () => {
    remember('sessionStorage', key, JSON.stringify(sighted()));
  });
}

/** The kept place if the user comes back to it, once; else null. */
export function takePlace() {
  const [entry] = performance.getEntriesByType('navigation');
  const isBack = entry?.type === 'back_forward' || entry?.type === 'reload'
    || document.referrer.startsWith(`${location.origin}${location.pathname}/items/`);
  const kept = recall('sessionStorage', key);
  remember('sessionStorage', key, null);
  return isBack && kept ? JSON.parse(kept) : null;
}
