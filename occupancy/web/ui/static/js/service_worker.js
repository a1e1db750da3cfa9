// Registers the service worker that keeps the shell of the pages. A browser has none without HTTPS,
// except on the machine itself.

/** Registers it, or removes it where the server has switched it off. */
export async function registerWorker() {
  const {serviceWorker} = navigator;
  if (!serviceWorker) return;
  const address = document.querySelector('meta[name="service-worker"]')?.content;
  try {
    if (address) {
      await serviceWorker.register(address, {updateViaCache: 'none'});
    } else {
      // Its next update would remove it too, but the browser may look for one only with the next page.
      for (const each of await serviceWorker.getRegistrations()) await each.unregister();
      for (const name of await caches.keys()) {
        if (name.startsWith('occupancy-shell-')) await caches.delete(name);
      }
    }
  } catch {
    // The browser allows none, or the server is away: the page works without it.
  }
}
