// A press of a finger or a mouse button. A button that moves away under it gets no click, so what would move
// buttons waits until the press is over.

let isDown = false;

for (const kind of ['pointerdown', 'pointerup', 'pointercancel']) {
  document.addEventListener(kind, () => { isDown = kind === 'pointerdown'; }, {capture: true, passive: true});
}

/** Resolves when nothing is pressed, after the click of a press. */
export function pressOver() {
  if (!isDown) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      for (const kind of ['pointerup', 'pointercancel']) document.removeEventListener(kind, end, true);
      setTimeout(resolve);
    };
    for (const kind of ['pointerup', 'pointercancel']) document.addEventListener(kind, end, true);
  });
}
