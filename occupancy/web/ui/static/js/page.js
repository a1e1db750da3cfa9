// What every page does first: the language switch, who is signed in, and what goes wrong, said.

import {byId, setText} from './dom.js';
import {switchTo, t} from './i18n.js';
import {listen} from './keys.js';
import {onRestored} from './restored.js';
import {scanning} from './scan.js';
import * as session from './session.js';
import {sleep} from './api.js';

let runs = 0; // how often somebody else was signed in, or nobody

/**
 * Starts a page: `run(session)` is called with who is signed in, now and again after each change;
 * with null where nobody is, after the dialog was offered. `listenToKeys()` is for pages with
 * shortcuts, or items to scan, of their own.
 */
export async function start(run, listenToKeys = () => listen({}, scanning())) {
  listenToKeys();
  const languages = byId('languages');
  languages.addEventListener('change', () => switchTo(languages.value));
  session.onChange((found) => {
    runs += 1;
    if (byId('ask-dialog').open) byId('ask-dialog').close('no'); // it asked somebody else
    run(found);
  });
  onRestored(async () => {
    if (!await known()) session.openDialog();
  });
  if (!await known()) {
    await run(null);
    session.openDialog();
  }
}

/**
 * After the server has refused us: asks who is signed in, and runs the page again, also where it is
 * who it was. A server that goes on refusing is asked once a second at most.
 */
export async function startAgain(run) {
  const before = runs;
  await sleep(1000);
  const found = await known();
  if (found === null) {
    if (!byId('session-dialog').open) session.openDialog(); // somebody may be typing already
  } else if (runs === before) {
    await run(found);
  }
}

/** Who is signed in, or null; asks until the server answers, and says so where that takes long. */
async function known() {
  for (let waitMs = 1000; ; waitMs = Math.min(waitMs * 2, 30000)) {
    try {
      const found = await session.load();
      byId('unknown').hidden = true;
      return found;
    } catch {
      setText(byId('unknown'), t('session.unknown'));
      byId('unknown').hidden = false;
      await sleep(waitMs * (0.5 + Math.random()));
    }
  }
}
