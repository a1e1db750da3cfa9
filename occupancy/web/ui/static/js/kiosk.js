// Kiosk pages, which stay open for weeks: keeps the screen awake, and reloads the page when the server
// has a newer version.

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
    lock = await navigator.wakeLock.request('screen').catch(() => null); // low battery: it tries later
  };
  document.addEventListener('visibilitychange', ask);
  setInterval(ask, AWAKE_MS);
  ask();
}

/** The version of the static files, from the address of one of them or from a page's text. */
export function versionIn(text) {
  return /\/static\/([0-9a-f]{12})\//.exec(text)?.[1] ?? null;
}

/**
 * Reloads the page when the server has other files than `own`. It checks every hour, and when
 * checkSoon() is called. It reloads only if the server has just responded, because otherwise the page
 * would be lost; and only after two checks agree, because during an upgrade old and new processes both
 * respond.
 */
export function followVersion(own, {
  look = async () => versionIn(await (await fetch(location.pathname, {cache: 'no-store'})).text()),
  reload = () => location.reload(),
  store = null, // sessionStorage, where the browser allows it
  now = () => Date.now(), // it must survive a reload, so it cannot be monotonic
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
      // The browser stores nothing: two checks, half a minute apart, still precede each reload.
    }
  }

  // A random delay: not all screens of a plant at the same time.
  function plan(ms) {
    clearTimeout(timer);
    timer = setTimeout(check, ms * (1 + Math.random()));
  }

  plan(CHECK_MS);
  return {checkSoon: () => plan(SOON_MS)};
}
