// A page that stays open for weeks: the screen stays awake, and the page becomes the server's
// newest version by itself.

const CHECK_MS = 60 * 60 * 1000;
const SOON_MS = 15 * 1000;
const CONFIRM_MS = 30 * 1000;
const RELOADED = 'occupancy-reloaded';
const NOT_AGAIN_MS = 10 * 60 * 1000;
const AWAKE_MS = 5 * 60 * 1000;

/** Keeps the screen on while the page is shown, where the browser can (under HTTPS only). */
export function stayAwake() {
  if (!navigator.wakeLock) return;
  let lock = null;
  const ask = async () => {
    if (document.hidden || (lock && !lock.released)) return;
    lock = await navigator.wakeLock.request('screen').catch(() => null); // a low battery: later again
  };
  document.addEventListener('visibilitychange', ask);
  setInterval(ask, AWAKE_MS);
  ask();
}

/** The version of the pages' files in an address of one of them, or in a page's text. */
export function versionIn(text) {
  return /\/static\/([0-9a-f]{12})\//.exec(text)?.[1] ?? null;
}

/**
 * Loads the page anew when the server has other files than `own`: looks every hour, and when
 * checkSoon() is called. Only with a server that has just answered, or there would be no page any
 * more; and only for what two looks have seen, because while a server is exchanged its old and
 * its new processes both answer.
 */
export function followVersion(own, {
  look = async () => versionIn(await (await fetch(location.pathname, {cache: 'no-store'})).text()),
  reload = () => location.reload(),
  store = null, // sessionStorage, where the browser allows it
  now = () => Date.now(), // it must go on over a reload, so it is a clock that may be set
} = {}) {
  let seen = null;
  let timer;

  async function check() {
    const found = await look().catch(() => null);
    const isNew = found !== null && found !== own;
    if (isNew && found === seen && !hasReloadedFor(found)) {
      note(found);
      reload();
      return;
    }
    plan(isNew && found !== seen ? CONFIRM_MS : CHECK_MS);
    seen = isNew ? found : null;
  }

  function hasReloadedFor(version) {
    try {
      const last = JSON.parse((store ?? sessionStorage).getItem(RELOADED));
      const agoMs = now() - last?.at;
      return last?.version === version && agoMs >= 0 && agoMs < NOT_AGAIN_MS;
    } catch {
      return false;
    }
  }

  function note(version) {
    try {
      (store ?? sessionStorage).setItem(RELOADED, JSON.stringify({version, at: now()}));
    } catch {
      // A browser that keeps nothing: two looks, half a minute apart, still stand before each reload.
    }
  }

  // Not all screens of a plant in the same moment.
  function plan(ms) {
    clearTimeout(timer);
    timer = setTimeout(check, ms * (1 + Math.random()));
  }

  plan(CHECK_MS);
  return {checkSoon: () => plan(SOON_MS)};
}
