// Attention: whether somebody uses the list now; then it must not move by itself.

const IDLE_MS = 20000;

export class Attention {
  /** `onIdle()` is called when the list may move again. */
  constructor(list, onIdle) {
    this.onIdle = onIdle;
    this.lastMs = -Infinity;
    this.isDown = false;
    const note = () => this.note();
    // Not 'focusin': a redrawn row regains the focus without any user action.
    for (const kind of ['pointerdown', 'pointermove', 'wheel', 'keydown', 'keyup']) {
      list.addEventListener(kind, note, {passive: true});
    }
    list.addEventListener('pointerdown', () => { this.isDown = true; }, {passive: true});
    for (const kind of ['pointerup', 'pointercancel']) {
      addEventListener(kind, () => { this.isDown = false; }, {passive: true});
    }
    addEventListener('scroll', () => { if (scrollY > 0) this.note(); }, {passive: true});
    const noteIfThere = () => { if (scrollY > 0 || list.contains(document.activeElement)) this.note(); };
    for (const kind of ['pointerdown', 'keydown']) document.addEventListener(kind, noteIfThere, {passive: true});
  }

  /** Records that somebody has just used the list. */
  note() {
    this.lastMs = performance.now();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.isHeld ? this.note() : this.onIdle()), IDLE_MS + 10);
  }

  /** Lets the list move: its user has turned to something else. */
  release() {
    clearTimeout(this.timer);
    this.lastMs = -Infinity;
  }

  get isHeld() {
    return this.isDown || performance.now() - this.lastMs < IDLE_MS;
  }
}
