// The service worker: it keeps the shell of the pages, so that they open without the server.
//
// It keeps the files of one version, and the shells of the pages /boards and /boards/B. Nothing else: no
// answer of the API, no stream, nothing that names a person. Shells come from the network first, so a
// server that answers always decides what is shown, and which version.
//
// No page mixes the files of two versions:
//
// - During a rolling restart a process may be asked for a file of another version. It answers with its
//   own and says no-store. So only what is marked as immutable is kept or passed on. After any other
//   answer the page is opened anew, and gets a shell whose files are there.
// - A worker is installed only once it has every file of its version, and it keeps only shells that
//   name that version. So a shell from the cache finds all its files in the cache.
// - A new worker takes over at once and removes the files of other versions. Open pages do not miss
//   them: all modules of a page load with it, none later. A page that was just loading asks the network,
//   to which the first point applies.

/* global VERSION, FILES */ // the server writes both before this text (web/routes/web_app.py)

const PREFIX = 'occupancy-shell-';
const CACHE = PREFIX + VERSION;
const SHELL = /^\/boards(\/[^/]+)?\/?$/;
const MOST_SHELLS = 30;
const SHELL_MS = 3000; // a network that takes longer is treated as away
const AGAIN_MS = 1000;
const AT_ONCE = 3; // the page needs the browser's other connections
const AWAY = new Set([502, 503, 504]); // a proxy's answers in place of the server

self.addEventListener('install', (event) => event.waitUntil(install()));
self.addEventListener('activate', (event) => event.waitUntil(activate()));
self.addEventListener('fetch', (event) => {
  const {request} = event;
  const {origin, pathname} = new URL(request.url);
  if (request.method !== 'GET' || origin !== location.origin) return;
  if (request.mode === 'navigate') {
    if (SHELL.test(pathname)) event.respondWith(openShell(event, withoutSlash(pathname)));
  } else if (pathname.startsWith('/static/')) {
    event.respondWith(file(event));
  }
});

async function install() {
  const cache = await caches.open(CACHE);
  const left = [...FILES];
  await Promise.all(Array.from({length: AT_ONCE}, async () => {
    while (left.length > 0) {
      const address = left.pop();
      if (await cache.match(address)) continue; // of an attempt that failed
      const response = await fetch(address);
      if (!isOfItsVersion(response)) throw new Error(`${address} is not there`);
      await cache.put(address, response);
    }
  }));
  for (const path of await knownShells()) {
    await fetch(path).then((response) => keepShell(path, response)).catch(() => {}); // the next visit keeps it
  }
  await self.skipWaiting();
}

async function activate() {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
  }
  await self.clients.claim();
}

/** The list of boards, the pages that are open, and those that the worker before this one kept. */
async function knownShells() {
  const paths = new Set(['/boards']);
  for (const {url} of await self.clients.matchAll({includeUncontrolled: true, type: 'window'})) {
    paths.add(withoutSlash(new URL(url).pathname));
  }
  for (const name of await caches.keys()) {
    if (!name.startsWith(PREFIX)) continue;
    for (const {url} of await (await caches.open(name)).keys()) paths.add(new URL(url).pathname);
  }
  return [...paths].filter((path) => SHELL.test(path)).slice(0, MOST_SHELLS);
}

// Shells

async function openShell(event, path) {
  const asked = fetch(event.request);
  const keeping = asked.then((response) => keepShell(path, response.clone()));
  event.waitUntil(keeping.catch(() => {}));
  const cache = await caches.open(CACHE);
  const kept = await cache.match(path, {ignoreVary: true});
  if (!kept) return asked;
  const late = new Promise((resolve) => { setTimeout(() => resolve(kept), SHELL_MS); });
  const isAway = (response) => AWAY.has(response.status);
  return Promise.race([asked.then((response) => (isAway(response) ? kept : response), () => kept), late]);
}

async function keepShell(path, response) {
  if (response.status !== 200 || response.redirected) return;
  const text = await response.clone().text();
  if (!text.includes(`/static/${VERSION}/`)) return;
  const cache = await caches.open(CACHE);
  await cache.put(path, response);
  const shells = (await cache.keys()).filter(({url}) => SHELL.test(new URL(url).pathname));
  for (const oldest of shells.slice(0, -MOST_SHELLS)) await cache.delete(oldest);
}

// Files

async function file(event) {
  const kept = await caches.match(event.request, {ignoreVary: true});
  if (kept) return kept;
  const response = await fetch(event.request);
  if (response.status !== 200 || isOfItsVersion(response)) return response;
  event.waitUntil(openAnew(event.clientId));
  return Response.error();
}

async function openAnew(clientId) {
  await new Promise((resolve) => { setTimeout(resolve, AGAIN_MS); });
  const client = await self.clients.get(clientId);
  await client?.navigate(client.url).catch(() => {}); // it was closed
}

function isOfItsVersion(response) {
  return response.status === 200 && (response.headers.get('Cache-Control') ?? '').includes('immutable');
}

function withoutSlash(path) {
  return path.replace(/(.)\/$/, '$1');
}
