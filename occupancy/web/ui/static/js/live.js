// Live: a board's events in every tab of a browser, over one stream.
//
// The leading tab (leader.js) holds the EventSource and passes on its messages; the others listen on
// a BroadcastChannel. A browser opens at most six connections to a host, so with a stream per tab the
// seventh tab would never load.
//
// Events are numbered, and each tab checks by itself that it misses none. It applies number n + 1
// after n, ignores earlier numbers, and loads the snapshot again for any other. So it does not matter
// which tab leads, where its stream began, or what a frozen tab missed.

import {elapsed, readEvent} from './clock.js';
import {Leadership} from './leader.js';

const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 30000;
const HIDDEN_MS = 60000; // a page that is hidden for this long closes its stream
const POSITION_MS = 10000; // the leader's interval for its position
const GRACE_MS = 7000; // a reload of the server takes less, and must not show 'offline'
const SILENCE_MS = 20000; // after this much silence, the page checks that the server is reachable

/**
 * `reload(signal)` must load the snapshot and return its position ({cursor, seq, version_floor}), and
 * show nothing once the signal is aborted, because the session may have ended. `apply(event)` gets
 * each event, in order, once. `isAhead()` says whether the page shows an answer whose event has not
 * come. `onSettings(version)` is told which version the board's settings have. `onStatus` gets
 * 'connecting', 'live', 'degraded' or 'offline', and `onDenied` is called when the server refuses the
 * stream.
 */
export class Live {
  constructor(board, {
    reload, apply, isAhead = () => false, onSettings = () => {}, onStatus, onDenied,
  }, {
    Source = globalThis.EventSource,
    Channel = globalThis.BroadcastChannel,
    leadership = (handlers) => new Leadership(board, handlers),
    probe = probeStatus,
    now = elapsed,
  } = {}) {
    this.address = `/api/boards/${board}/events`;
    this.hooks = {reload, apply, isAhead, onSettings, onStatus, onDenied};
    this.Source = Source;
    this.probe = probe;
    this.now = now;
    this.cursor = null;
    this.seq = null;
    this.versionFloor = 0; // of the snapshot; every version since the last promotion is above it
    this.leastFloor = 0; // that of the stream: a snapshot below it is from before the promotion
    this.settings = {}; // their version, as the stream says: {settings_version}
    this.status = 'connecting';
    this.retryMs = FIRST_RETRY_MS;
    this.wasAhead = false; // at the last check of the answers
    this.heldBack = []; // events that arrived while the snapshot was loading
    this.isReloading = false;
    this.isReturning = false; // whether the page was hidden for long, and has not loaded since
    this.mustReload = false;
    this.heardMs = 0;
    this.ended = new AbortController();
    this.channel = Channel ? new Channel(`occupancy-live-${board}`) : null;
    this.leadership = leadership({
      onGain: () => this.#open(),
      onLose: () => this.#close(),
    });
  }

  async start() {
    this.channel?.addEventListener('message', (message) => this.#onTold(message.data));
    const {signal} = this.ended;
    document.addEventListener('visibilitychange', () => this.#onVisibility(), {signal});
    addEventListener('offline', () => this.#onOffline(), {signal});
    addEventListener('online', () => this.#onOnline(), {signal});
    addEventListener('pagehide', () => this.leadership.resign(), {signal});
    addEventListener('pageshow', (event) => { if (event.persisted) this.#onVisibility(); }, {signal});
    this.timer = setInterval(() => {
      this.#sayPosition();
      this.#checkSilence();
      this.#checkAnswers();
      this.#tellSettings(); // the page may have failed to load them
    }, POSITION_MS);
    await this.#reload();
    if (signal.aborted) return;
    this.leadership.stand();
    this.#tell({kind: 'hello'});
  }

  stop() {
    this.ended.abort();
    clearInterval(this.timer);
    clearTimeout(this.retryTimer);
    clearTimeout(this.hiddenTimer);
    this.leadership.resign();
    this.channel?.close();
    this.channel = null;
  }

  // The leader's stream

  #open() {
    this.#close();
    if (this.cursor === null) return; // no snapshot yet: start() continues
    const source = new this.Source(`${this.address}?after=${encodeURIComponent(this.cursor)}`);
    this.source = source;
    this.heardMs = this.now();
    const on = (name, listener) => source.addEventListener(name, (event) => {
      this.heardMs = this.now();
      if (this.source === source) listener(event.data ? JSON.parse(event.data) : {}, event.lastEventId);
    });
    on('item', (data, id) => this.#share({kind: 'event', data, id}));
    on('ready', (data) => {
      this.retryMs = FIRST_RETRY_MS;
      this.#clearGrace();
      this.#share({kind: 'position', ...data});
      this.#share({kind: 'status', status: 'live', isCaughtUp: true});
    });
    on('reset', (data) => this.#share({...data, kind: 'reset'}));
    on('board', (data) => this.#share({...data, kind: 'board'}));
    on('degraded', () => this.#share({kind: 'status', status: 'degraded'}));
    on('recovered', () => this.#share({kind: 'status', status: 'live', isCaughtUp: true}));
    source.addEventListener('error', () => {
      if (this.source !== source) return;
      if (source.readyState === 2) this.#onFatal(); // CLOSED: the browser will not try again
      else this.#onLost();
    });
  }

  #onLost() {
    if (this.status === 'offline' || this.graceTimer) return;
    this.#share({kind: 'status', status: 'connecting'});
    this.graceTimer = setTimeout(() => this.#share({kind: 'status', status: 'offline'}), GRACE_MS);
  }

  #clearGrace() {
    clearTimeout(this.graceTimer);
    this.graceTimer = undefined;
  }

  #close() {
    this.#clearGrace();
    clearTimeout(this.retryTimer);
    this.source?.close();
    this.source = null;
  }

  async #onFatal() {
    this.#close();
    this.#share({kind: 'status', status: 'offline'});
    const status = await this.probe(this.address);
    if (this.ended.signal.aborted) return;
    if (status === 401 || status === 403 || status === 404) {
      this.#share({kind: 'denied', status});
      return;
    }
    if (this.source) return; // opened meanwhile
    const waitMs = this.retryMs * (0.5 + Math.random());
    this.retryMs = Math.min(this.retryMs * 2, LAST_RETRY_MS);
    this.retryTimer = setTimeout(() => {
      if (this.leadership.isLeading) this.#open();
    }, waitMs);
  }

  // A lost network does not always end its connections, and EventSource hides the heartbeats. A page
  // must not say 'live' over a dead stream.

  #onOffline() {
    if (this.leadership.isLeading) this.#onFatal(); // it retries: the server may be on this machine
  }

  #onOnline() {
    if (this.leadership.isLeading) this.#open();
  }

  async #checkSilence() {
    const {source} = this;
    if (!source || source.readyState !== 1 || this.now() - this.heardMs < SILENCE_MS) return;
    const status = await this.probe(this.address);
    this.heardMs = this.now();
    if (status === 0 && this.source === source) this.#onFatal();
  }

  /** An answer that was late itself may come after `ready`, and its event never. */
  #checkAnswers() {
    const isAhead = this.hooks.isAhead();
    if (isAhead && this.wasAhead) this.#reload();
    this.wasAhead = isAhead;
  }

  #sayPosition() {
    if (this.leadership.isLeading && this.status === 'live') {
      this.#tell({kind: 'position', cursor: this.cursor, seq: this.seq,
        version_floor: this.leastFloor, ...this.settings});
    }
  }

  // In every tab

  #tell(message) {
    this.channel?.postMessage(message);
  }

  #share(message) {
    this.#tell(message);
    this.#onTold(message);
  }

  #onTold(message) {
    if (message.version_floor !== undefined) this.leastFloor = message.version_floor;
    if (message.settings_version !== undefined) {
      this.settings = {settings_version: message.settings_version};
      this.#tellSettings();
    }
    if (message.kind === 'board') return;
    if (message.kind === 'hello') {
      if (this.leadership.isLeading) {
        this.#tell({kind: 'status', status: this.status});
        this.#sayPosition();
      }
    } else if (message.kind === 'status') {
      this.status = message.status;
      // A page that has just been shown again may have missed what the other tabs have not.
      if (!this.isReturning) this.hooks.onStatus(message.status);
      // Every event up to now has come. So the server has lost the operation that was answered; or its
      // event is on its way, which costs a snapshot.
      if (message.isCaughtUp && this.hooks.isAhead()) this.#reload();
    } else if (message.kind === 'denied') {
      this.hooks.onDenied(message.status);
    } else if (this.isReloading) {
      if (message.kind === 'reset') this.mustReload = true;
      else this.heldBack.push(message);
    } else if (message.kind === 'reset') {
      this.#reload();
    } else if (message.kind === 'event') {
      this.#onEvent(message);
    } else if (message.kind === 'position' && (message.seq > this.seq || this.versionFloor < this.leastFloor)) {
      this.#reload(); // an event is missing, or another server was promoted
    }
  }

  #tellSettings() {
    if (this.settings.settings_version !== undefined) this.hooks.onSettings(this.settings.settings_version);
  }

  #onEvent({data, id}) {
    if (data.seq <= this.seq) return;
    if (data.seq !== this.seq + 1) {
      this.#reload();
      return;
    }
    this.seq = data.seq;
    this.cursor = id;
    readEvent(data);
    this.hooks.apply(data);
  }

  async #reload() {
    if (this.isReloading) {
      this.mustReload = true;
      return;
    }
    this.isReloading = true;
    for (let waitMs = FIRST_RETRY_MS; ; waitMs = Math.min(waitMs * 2, LAST_RETRY_MS)) {
      this.mustReload = false;
      try {
        const {cursor, seq, version_floor} = await this.hooks.reload(this.ended.signal);
        if (this.ended.signal.aborted) return;
        this.cursor = cursor;
        this.seq = seq;
        this.versionFloor = version_floor;
        if (version_floor < this.leastFloor) {
          this.hooks.onStatus('degraded'); // its process will know of the promotion soon
          await wait(waitMs);
        } else if (!this.mustReload) {
          break;
        }
      } catch (problem) {
        if (this.ended.signal.aborted) return;
        if ([401, 403, 404].includes(problem.status)) {
          this.isReloading = false;
          this.hooks.onDenied(problem.status);
          return;
        }
        this.hooks.onStatus('offline');
        await wait(waitMs);
      }
    }
    this.isReloading = false;
    this.isReturning = false;
    const heldBack = this.heldBack.splice(0);
    for (const message of heldBack) this.#onTold(message);
    this.hooks.onStatus(this.status);
    if (this.leadership.isLeading && !this.source) this.#open();
  }

  // Hidden pages

  #onVisibility() {
    clearTimeout(this.hiddenTimer);
    if (document.hidden) {
      this.hiddenTimer = setTimeout(() => this.leadership.resign(), HIDDEN_MS);
      return;
    }
    if (!this.leadership.isCandidate) {
      this.isReturning = true;
      this.status = 'connecting'; // until a stream says otherwise
      this.hooks.onStatus(this.status);
      this.#reload(); // conditional on the ETag: loads nothing if nothing has changed
      this.leadership.stand();
    }
    this.#checkSilence();
    this.#tell({kind: 'hello'});
  }
}

function wait(meanMs) {
  return new Promise((resolve) => { setTimeout(resolve, meanMs * (0.5 + Math.random())); });
}

async function probeStatus(address) {
  try {
    const response = await fetch(address, {method: 'HEAD', signal: AbortSignal.timeout(10000)});
    return response.status;
  } catch {
    return 0;
  }
}
