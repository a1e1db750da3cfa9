// The service worker of a server that has it switched off: it removes what an earlier one kept, and itself.

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil((async () => {
  for (const name of await caches.keys()) {
    if (name.startsWith('occupancy-shell-')) await caches.delete(name);
  }
  await self.registration.unregister();
})()));
