// The viewport of a virtual list: which part of the list is visible.
//
// An event must cost one layout of the page. So the list reads no geometry when it draws, but what was measured here
// at the last scroll or change of size.

import {sight} from './dom.js';

const MARGIN_PX = 16; // of a revealed row

export class ListViewport {
  /**
   * `scroller` is the element that scrolls the list in `container`, or null for the page. `onMove()` is called when
   * other rows may be visible, and `onPush()` when the content above the list may have pushed it.
   */
  constructor(container, scroller, {onMove, onPush}) {
    Object.assign(this, {container, scroller});
    this.isMeasured = false;
    this.kept = this.#top + scrollY; // where the list began when it was last moved with the content above it
    const move = () => {
      this.isMeasured = false;
      onMove();
    };
    (scroller ?? window).addEventListener('scroll', move, {passive: true});
    addEventListener('resize', move, {passive: true});
    this.sizes = new ResizeObserver(move);
    this.sizes.observe(scroller ?? container);
    if (!scroller) new ResizeObserver(onPush).observe(document.body);
  }

  end() {
    this.sizes.disconnect();
  }

  get #top() {
    return this.container.getBoundingClientRect().top;
  }

  measure() {
    const {scroller} = this;
    this.scrolled = scroller ? scroller.scrollTop : scrollY;
    this.height = scroller ? scroller.clientHeight : innerHeight;
    this.origin = this.#top - (scroller ? scroller.getBoundingClientRect().top : 0) + this.scrolled;
    this.isMeasured = true;
  }

  /** The upper edge of the visible part, in px from the list's top. */
  get top() {
    return this.scrolled - this.origin;
  }

  scrollBy(by) {
    (this.scroller ?? window).scrollBy(0, by);
    this.scrolled = this.scroller ? this.scroller.scrollTop : scrollY;
  }

  /** Scrolls a row into view; the uppermost `cover` px are covered. */
  reveal({place, height, cover = 0}) {
    const top = this.#top + place;
    const {low, high} = this.scroller ? edgesOf(this.scroller) : sight();
    const least = low + cover + MARGIN_PX;
    const most = high - height - MARGIN_PX;
    if (top < least) this.scrollBy(top - least);
    else if (top > most) this.scrollBy(top - most);
  }

  /** The list begins where it should. */
  settle() {
    this.kept = this.origin;
  }

  /** Keeps a scrolled list in place when the content above it has grown or shrunk. Answers whether it has. */
  stay() {
    const by = this.origin - this.kept;
    this.settle();
    if (by !== 0 && this.scrolled > 0) this.scrollBy(by);
    return by !== 0;
  }
}

function edgesOf(scroller) {
  const {top, bottom} = scroller.getBoundingClientRect();
  return {low: top, high: bottom};
}
