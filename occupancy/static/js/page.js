// What every page does first: the language switch, who is signed in, and what goes wrong, said.

import {byId} from './dom.js';
import {switchTo, t} from './i18n.js';
import * as session from './session.js';
import {sleep} from './api.js';

/**
 * Starts a page: `run(session)` is called with who is signed in, now and again after each change;
 * with null where nobody is, after the dialog was offered.
 */
export async function start(run) {
  const languages = byId('languages');
  languages.addEventListener('change', () => switchTo(languages.value));
  session.onChange((found) => run(found));
  for (let waitMs = 1000; ; waitMs = Math.min(waitMs * 2, 30000)) {
    try {
      const found = await session.load();
      if (!found) {
        await run(null);
        session.openDialog();
      }
      return;
    } catch {
      byId('announcer').textContent = t('live.offline');
      await sleep(waitMs * (0.5 + Math.random()));
    }
  }
}
