// Fakes of the browser interfaces that the page scripts use.

import {mock} from 'node:test';

/** Lets everything that is due run, promises included; timers are the test's own. */
export async function settle() {
  for (let turn = 0; turn < 10; turn += 1) {
    await new Promise((resolve) => { setImmediate(resolve); });
  }
}

/** Lets mocked time pass, in steps: at one go every timer would find the clock at the end of it. */
export function pass(ms) {
  for (let left = ms; left > 0; left -= 50) mock.timers.tick(Math.min(left, 50));
}

/** Puts fakes in place of globals; answers a function that takes them away. */
export function install(fakes) {
  const before = Object.keys(fakes).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
  for (const [name, value] of Object.entries(fakes)) {
    Object.defineProperty(globalThis, name, {value, configurable: true, writable: true});
  }
  return () => {
    for (const [name, descriptor] of before) {
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      else delete globalThis[name];
    }
  };
}

/** fetch(), which notes each request in `sent`. `next()` is its Response, or an Error to throw. */
export function fakeFetch(sent, next) {
  return async (path, options) => {
    sent.push({path, ...options});
    const answer = next();
    if (answer instanceof Error) throw answer;
    return answer;
  };
}

/** EventSource, whose events the test sends. `opened` has all of them. */
export function fakeSources() {
  const opened = [];
  class Source extends EventTarget {
    constructor(address) {
      super();
      this.address = address;
      this.readyState = 0;
      opened.push(this);
    }

    close() {
      this.readyState = 2;
    }

    say(name, data = {}, id = '') {
      this.readyState = 1;
      const event = new Event(name);
      event.data = JSON.stringify(data);
      event.lastEventId = id;
      this.dispatchEvent(event);
    }

    fail(readyState) {
      this.readyState = readyState;
      this.dispatchEvent(new Event('error'));
    }
  }
  return {Source, opened};
}

/** BroadcastChannel: the tabs of one browser hear each other at once. */
export function fakeChannels() {
  const all = new Set();
  return class Channel extends EventTarget {
    constructor(name) {
      super();
      this.name = name;
      all.add(this);
    }

    postMessage(data) {
      for (const other of [...all]) {
        if (other === this || other.name !== this.name) continue;
        const event = new Event('message');
        event.data = structuredClone(data);
        other.dispatchEvent(event);
      }
    }

    close() {
      all.delete(this);
    }
  };
}

/** The leadership of one tab, given and taken by the test. */
export class FakeLeadership {
  constructor({onGain, onLose}) {
    this.onGain = onGain;
    this.onLose = onLose;
    this.isLeading = false;
    this.isCandidate = false;
  }

  stand() {
    this.isCandidate = true;
  }

  resign() {
    this.isCandidate = false;
    this.lose();
  }

  gain() {
    this.isLeading = true;
    this.onGain();
  }

  lose() {
    if (!this.isLeading) return;
    this.isLeading = false;
    this.onLose();
  }
}

/** Storage as localStorage has it. */
export class FakeStorage {
  #values = new Map();

  getItem(key) {
    return this.#values.get(key) ?? null;
  }

  setItem(key, value) {
    this.#values.set(key, String(value));
  }

  removeItem(key) {
    this.#values.delete(key);
  }
}
