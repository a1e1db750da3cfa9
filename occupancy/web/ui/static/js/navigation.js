// The links of the header: those of the signed-in worker's role, in a menu that closes by itself.

import {byId} from './dom.js';
import * as session from './session.js';

/** Shows the links that the session may follow; call it when the session has changed. */
export function showLinks() {
  for (const link of document.querySelectorAll('[data-role]')) link.hidden = !session.may(link.dataset.role);
}

/** Makes the menu close, and the list of shortcuts open. Wall screens have neither. */
export function startMenu() {
  const menu = document.getElementById('menu');
  if (!menu) return;
  const summary = menu.querySelector('summary');
  document.addEventListener('pointerdown', ({target}) => {
    if (menu.open && !menu.contains(target)) menu.open = false;
  });
  menu.addEventListener('focusout', ({relatedTarget}) => {
    if (relatedTarget && !menu.contains(relatedTarget)) menu.open = false;
  });
  // Before keys.js, for which Escape leads to the list.
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !menu.open) return;
    event.stopImmediatePropagation();
    menu.open = false;
    summary.focus();
  }, true);
  byId('show-keys').addEventListener('click', () => {
    menu.open = false;
    summary.focus(); // where the focus returns to when the dialog is closed
    byId('keys-dialog').showModal();
  });
}
