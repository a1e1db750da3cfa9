// The start of every page: the language switch, the session, and messages about failures.

import {onPinRequired, sleep} from './api.js';
import {askForPin, stopAsking} from './confirm_pin.js';
import {byId, setText} from './dom.js';
import {forgetDrafts} from './drafts.js';
import {switchTo, t} from './i18n.js';
import {listen} from './keys.js';
import {showLinks, startMenu} from './navigation.js';
import {onRestored} from './restored.js';
import {scanning} from './scan.js';
import {registerWorker} from './service_worker.js';
import * as session from './session.js';
import {deliverWaiting, startWaiting} from './waiting.js';

let runs = 0; // the number of changes of the session

/**
 * Starts a page: `run(session)` is called now and after each change of the session; with null if
 * nobody is signed in, after the dialog was offered. `listenToKeys()` is for pages with shortcuts, or
 * items to scan, of their own. `onAway()` is called if the server does not answer at first; it
 * answers true if the page says so itself.
 */
export async function start(run, listenToKeys = () => listen({}, scanning()), {onAway = () => false} = {}) {
  startMenu();
  listenToKeys();
  onPinRequired(askForPin);
  startWaiting();
  const languages = byId('languages');
  languages.addEventListener('change', () => switchTo(languages.value));
  session.onChange((found) => {
    runs += 1;
    showLinks();
    forgetDrafts(); // what another worker typed
    stopAsking();
    if (byId('ask-dialog').open) byId('ask-dialog').close('no'); // it asked another worker
    if (found) byId('session-dialog').close(); // it says who was signed in
    run(found);
    deliverWaiting();
  });
  onRestored(async () => {
    if (!await known()) session.openDialog();
  });
  if (!await known(onAway)) {
    await run(null);
    session.openDialog();
  }
  registerWorker(); // what it loads must not delay the page
}

/**
 * After a refusal by the server: asks who is signed in, and runs the page again, even for the same
 * session. A server that keeps refusing is asked at most once a second.
 */
export async function startAgain(run) {
  const before = runs;
  await sleep(1000);
  const found = await known();
  if (found === null) {
    if (!byId('session-dialog').open) session.openDialog(); // the user may be typing in it already
  } else if (runs === before) {
    await run(found);
  }
}

/** The session, or null; asks until the server responds, and says so if that takes long. */
async function known(onAway = () => false) {
  let isSaid = false;
  for (let waitMs = 1000; ; waitMs = Math.min(waitMs * 2, 30000)) {
    try {
      const found = await session.load();
      byId('unknown').hidden = true;
      deliverWaiting();
      return found;
    } catch {
      if (waitMs === 1000) { // not awaited: a browser's storage may not answer
        Promise.resolve(onAway()).then((said) => {
          isSaid = said;
          if (said) byId('unknown').hidden = true;
        });
      }
      setText(byId('unknown'), t('session.unknown'));
      byId('unknown').hidden = isSaid;
      await sleep(waitMs * (0.5 + Math.random()));
    }
  }
}
