// An idle session ends: a touch of the page counts as use. The page tells the server now and then, because
// reading makes no request; it announces the end a minute before, and signs out if nobody responds. Idle time
// is counted by a monotonic clock.

import * as api from './api.js';
import {elapsed} from './clock.js';
import {byId, setText} from './dom.js';
import {t} from './i18n.js';

const WARNING_S = 60;
const JUMP_MS = 5000;

let lastTouched = elapsed();
let lastTold = elapsed();
let clocksApart = Date.now() - elapsed();
let lastShared = 0;
let isEnding = false;

export const untouchedMs = () => elapsed() - lastTouched;

/** The page, or another tab of it, was touched; or a session has begun. */
export function noteTouch() {
  lastTouched = elapsed();
}

/**
 * Begins to watch. `idleS()` is after how many seconds the session ends, or null; `end()` signs out; `ask()` asks
 * the server who is signed in; `share()` tells the other tabs of a touch.
 */
export function watchIdle({idleS, end, ask, share}) {
  const touched = () => {
    noteTouch();
    if (lastTouched - lastShared > 1000) {
      lastShared = lastTouched;
      share(); // otherwise a hidden tab would sign this one out
    }
    if (idleS() && lastTouched - lastTold > 250 * idleS()) {
      lastTold = lastTouched;
      api.get('/api/boards').catch(() => {}); // any request that counts as use; the next touch tells again
    }
  };
  for (const kind of ['pointerdown', 'keydown']) {
    document.addEventListener(kind, touched, {passive: true});
  }
  setInterval(() => {
    if (!idleS()) return;
    askAfterJump(ask);
    tick(idleS(), end);
  }, 1000);
}

async function tick(idleS, end) {
  const left = idleS - untouchedMs() / 1000;
  const warning = Math.min(WARNING_S, idleS / 3);
  const notice = byId('idle-notice');
  notice.hidden = left > warning || left <= 0;
  if (left > 0) {
    if (left <= warning) setText(notice, t('session.idle_soon', {seconds: Math.ceil(left / 10) * 10}));
  } else if (!isEnding) {
    isEnding = true;
    await end().catch(() => {}); // without the server the next second tries again
    isEnding = false;
  }
}

// After the device's clock was set, or the device slept: the monotonic clock may have stood still.
function askAfterJump(ask) {
  const apart = Date.now() - elapsed();
  if (Math.abs(apart - clocksApart) < JUMP_MS) return;
  clocksApart = apart;
  ask();
}
