// The tap filter: a tap has one effect, and only on the element that was there when the user aimed.
//
// The second half of a double tap must have no effect, whatever is under the finger by then: a button
// of the next row, a dialog, a bar. An element that has just moved, appeared or changed ignores taps for
// a moment, because the finger was aimed at something else.

export const IGNORE_MS = 500;
const NEAR_PX = 40;

/** Makes an element and its content ignore taps for a moment. */
export function ignoreTaps(element) {
  element.ignoresTapsUntilMs = performance.now() + IGNORE_MS; // no timer: on a busy page it would end too late
}

/** Whether a tap at `place` ({x, y, atMs}) is the second half of a double tap at `last`. */
export function isSecondHalf(place, last) {
  return last !== null && place.atMs - last.atMs < IGNORE_MS
    && Math.hypot(place.x - last.x, place.y - last.y) < NEAR_PX;
}

/** Drops such taps within `areas` (a selector), before any listener there gets them. */
export function filterTaps(areas) {
  let last = null; // the last tap that counted, anywhere
  let isSecond = false; // whether the present touch is one; a label's click belongs to the same touch
  document.addEventListener('keydown', () => { isSecond = false; }, true);
  document.addEventListener('pointerdown', (event) => {
    isSecond = isSecondHalf({x: event.clientX, y: event.clientY, atMs: event.timeStamp}, last);
  }, true);
  document.addEventListener('click', (event) => {
    const isFiltered = event.target.closest(areas) !== null;
    if (isFiltered && (isSecond || event.composedPath().some((each) => each.ignoresTapsUntilMs > event.timeStamp))) {
      event.preventDefault();
      event.stopImmediatePropagation();
    } else if (event.detail > 0) { // by a pointer; the keyboard's clicks have no position
      last = {x: event.clientX, y: event.clientY, atMs: event.timeStamp};
    }
  }, true);
}
