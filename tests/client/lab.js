/**
 * Tabs of one browser and a server by the contract, in a time that only a test moves.
 *
 * Each tab runs the keeper in a global scope of its own, with fakes for what a browser has. What
 * tabs share (storage, locks, channels) is the lab's. A frozen tab runs nothing and keeps its lock.
 */

import vm from "node:vm";
import { keeper } from "./build.js";

const SCRIPT = new vm.Script(keeper());
const START = 1_790_000_000_000;

/** Let everything happen that waits for nothing but its turn. */
async function settle() {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export class Server {
  /** @param {Lab} lab */
  constructor(lab) {
    this.lab = lab;
    /** @type {{ name: string, body: any, query: string, at: number, tab: Tab }[]} */
    this.log = [];
    /** @type {any} */
    this.session = null;
    /** Answers of `path`s with limits of their own. @type {Record<string, object>} */
    this.areas = {};
    this.reason = /** @type {string | null} */ (null);
    /** What to answer instead. @type {((name: string) => any) | null} */
    this.instead = null;
    this.interval = 300;
    this.skew = 7200; // seconds its clock is ahead of the browser's
  }

  get now() {
    return this.lab.mono / 1000 + START / 1000 + this.skew;
  }

  login({ key = "A", idle = 1800, absolute = 28800, signedIn = true } = {}) {
    this.session = { key, idle, absolute, signedIn, started: this.now, active: this.now };
  }

  /** @param {string} reason */
  end(reason) {
    this.session = null;
    this.reason = reason;
  }

  /** A request of the application's, in any tab. */
  touch() {
    this.session.active = this.now;
  }

  /** @param {string} [path] */
  judgement(path = "") {
    const { session, now } = this;
    const rest = { now, warning_lead: 120, absolute_warning_lead: 300 };
    if (session && now >= session.active + session.idle) this.end("idle");
    if (session && now >= session.started + session.absolute) this.end("absolute");
    if (!this.session) {
      const state = this.reason ? "ended" : "anonymous";
      return { state, reason: this.reason, session: null, signed_in: false, ...rest };
    }
    return {
      state: "active",
      reason: null,
      session: session.key,
      signed_in: session.signedIn,
      idle_left: session.active + session.idle - now,
      absolute_left: session.started + session.absolute - now,
      ...rest,
      heartbeat_interval: this.interval,
      next_heartbeat: Math.max(0, session.active + this.interval - now),
      ...this.areas[path],
    };
  }

  /** @param {string} name @param {string} method @param {any} body @param {string} query */
  answer(name, method, body, query) {
    if ((name == "status") != (method == "GET")) return { status: 405, text: "" };
    const other = this.instead?.(name);
    if (other) return other;
    if (name == "lost") return { status: 204, text: "" };
    if (name == "logout") this.end("signed_out");
    const path = body?.path || new URLSearchParams(query).get("path") || "";
    const found = this.judgement(path);
    let status = 200;
    if (name == "heartbeat") {
      if (this.session) {
        const from = Math.max(this.session.active, this.now - body.idle);
        this.session.active = from;
        return { status, text: JSON.stringify({ ...this.judgement(path), extended: true }) };
      }
      status = 401;
    }
    return { status, text: JSON.stringify(found) };
  }

  /** @param {string} [name] */
  count(name) {
    return this.log.filter((entry) => !name || entry.name == name).length;
  }
}

export class Lab {
  constructor() {
    this.mono = 0;
    this.wallOffset = START;
    /** @type {Tab[]} */
    this.tabs = [];
    /** @type {Record<string, string>} */
    this.storage = {};
    /** @type {Map<string, Tab>} */
    this.locks = new Map();
    /** @type {{ at: number, order: number, tab: Tab, run: () => void, every: number }[]} */
    this.timers = [];
    this.order = 0;
    /** Milliseconds an answer takes, and a message between tabs. */
    this.latency = 20;
    this.delivery = 5;
    /** No room is left in the storage for anything to grow. */
    this.full = false;
    this.server = new Server(this);
  }

  get wall() {
    return this.mono + this.wallOffset;
  }

  /** @param {Tab} tab @param {() => void} run @param {number} delay */
  after(tab, run, delay, every = 0) {
    const timer = { at: this.mono + delay, order: this.order++, tab, run, every };
    this.timers.push(timer);
    return timer;
  }

  /** Let time pass for everybody, one thing at a time. @param {number} seconds */
  async pass(seconds) {
    await settle();
    const end = this.mono + seconds * 1000;
    for (;;) {
      const due = this.timers.filter((timer) => timer.at <= end && !timer.tab.frozen);
      due.sort((a, b) => a.at - b.at || a.order - b.order);
      const timer = due[0];
      if (!timer) break;
      this.mono = Math.max(this.mono, timer.at);
      if (timer.every) timer.at = this.mono + timer.every;
      else this.timers.splice(this.timers.indexOf(timer), 1);
      timer.run();
      await settle();
    }
    this.mono = end;
    await settle();
  }

  /** The machine sleeps: the wall clocks go on, the monotonic one and the timers don't. */
  sleep(/** @type {number} */ seconds) {
    this.wallOffset += seconds * 1000;
    this.server.skew += seconds; // the server does not sleep
  }

  /** Somebody sets the clock of the browser's machine. */
  setClock(/** @type {number} */ seconds) {
    this.wallOffset += seconds * 1000;
  }

  /** @param {object} [options] of the keeper @param {object} [without] what the browser lacks */
  async open(options, without) {
    const tab = new Tab(this, options, without);
    this.tabs.push(tab);
    tab.keeper.start();
    await this.pass(0.1);
    return tab;
  }
}

export class Tab {
  /** @param {Lab} lab @param {object} [options] @param {Record<string, any>} [without] */
  constructor(lab, options = {}, without = {}) {
    this.lab = lab;
    this.frozen = false;
    /** @type {[string, any][]} */
    this.heard = [];
    /** @type {(() => void)[]} */
    this.held = [];
    /** @type {Set<any>} */
    this.channels = new Set();
    this.document = { visibilityState: "visible" };
    /** @type {Record<string, ((event: any) => void)[]>} */
    this.listeners = {};
    const scope = vm.createContext({ ...this.world(), ...without });
    vm.runInContext("globalThis.window = globalThis", scope);
    SCRIPT.runInContext(scope);
    const { SessionKeeper } = scope.made;
    this.keeper = new SessionKeeper({ path: "/", ...options });
    for (const name of ["warning", "extended", "ended", "offline", "online", "stale", "unverified"]) {
      this.listen(name);
    }
    this.listen("changed");
    this.listen("signed-in");
  }

  /** @param {string} name */
  listen(name) {
    this.keeper.addEventListener("session-" + name, (/** @type {any} */ event) => {
      this.heard.push([name, event.detail]);
    });
  }

  get phase() {
    return this.keeper.status().phase;
  }

  /** @param {string} name */
  times(name) {
    return this.heard.filter(([each]) => each == name).length;
  }

  /** What the tab does next happens when it isn't frozen. @param {() => void} run */
  whenAwake(run) {
    if (this.frozen) this.held.push(run);
    else run();
  }

  freeze() {
    this.document.visibilityState = "hidden";
    this.frozen = true;
  }

  async thaw() {
    this.frozen = false;
    for (const run of this.held.splice(0)) run();
    await this.lab.pass(0);
  }

  /** @param {string} type @param {object} [event] */
  dispatch(type, event) {
    for (const listener of [...(this.listeners[type] || [])]) {
      listener({ isTrusted: true, target: {}, type, ...event });
    }
  }

  /** The person does something here. */
  act() {
    this.dispatch("keydown");
  }

  show(visible = true) {
    this.document.visibilityState = visible ? "visible" : "hidden";
    this.dispatch("visibilitychange");
  }

  world() {
    const { lab } = this;
    const tab = this;
    class Channel {
      /** @param {string} name */
      constructor(name) {
        this.name = name;
        /** @type {((event: any) => void) | null} */
        this.onmessage = null;
        tab.channels.add(this);
      }

      /** @param {any} data */
      postMessage(data) {
        const copy = structuredClone(data);
        for (const other of lab.tabs) {
          for (const channel of other.channels) {
            if (channel === this || channel.name != this.name) continue;
            lab.after(tab, () => other.whenAwake(() => channel.onmessage?.({ data: copy })), lab.delivery);
          }
        }
      }

      close() {
        tab.channels.delete(this);
      }
    }
    const locks = {
      /** @param {string} name @param {object} _ @param {(lock: any) => any} work */
      async request(name, _, work) {
        if (lab.locks.has(name)) return work(null);
        lab.locks.set(name, tab);
        try {
          return await work({});
        } finally {
          lab.locks.delete(name);
        }
      },
    };
    /** @param {string} url @param {any} options */
    const fetch = (url, options) => {
      const { pathname, search } = new URL(url);
      const name = pathname.split("/").pop() || "";
      const { server } = lab;
      const { method = "GET", headers: told } = options;
      const body = options.body && JSON.parse(options.body);
      if (method == "POST" && told["x-session-client"] != "1") return Promise.reject(new TypeError());
      server.log.push({ name, body, query: search, at: lab.mono / 1000, tab });
      return new Promise((resolve, reject) => {
        lab.after(
          /** @type {any} */ ({}),
          () => {
            const said = server.answer(name, method, body, search);
            const { status, type = "basic", headers = {}, kept = false } = said;
            // The server names the question; what a cache kept names another one.
            const nonce = kept ? "0.5" : new URLSearchParams(search).get("nonce");
            const text = said.text?.replace(/^\{"state":/, `{"nonce":"${nonce}","state":`);
            const give = () =>
              status
                ? resolve({ status, type, headers: new Headers(headers), text: async () => text })
                : reject(new TypeError("network"));
            tab.whenAwake(give);
          },
          lab.latency,
        );
      });
    };
    return {
      fetch,
      BroadcastChannel: Channel,
      navigator: { locks },
      localStorage: new Proxy(lab.storage, {
        set(target, key, value) {
          if (lab.full && value.length > (target[String(key)] || "").length) throw new Error("quota");
          target[String(key)] = value;
          for (const other of lab.tabs) {
            if (other === tab) continue;
            lab.after(tab, () => other.whenAwake(() => other.dispatch("storage", { key })), 5);
          }
          return true;
        },
      }),
      document: this.document,
      location: { pathname: "/" },
      Date: { now: () => lab.wall },
      performance: { now: () => lab.mono },
      setTimeout: (/** @type {any} */ run, /** @type {number} */ delay) =>
        lab.after(tab, run, delay),
      setInterval: (/** @type {any} */ run, /** @type {number} */ delay) =>
        lab.after(tab, run, delay, delay),
      clearInterval: (/** @type {any} */ timer) => {
        const index = lab.timers.indexOf(timer);
        if (index >= 0) lab.timers.splice(index, 1);
      },
      addEventListener: (
        /** @type {string} */ type,
        /** @type {any} */ listener,
        /** @type {any} */ { signal },
      ) => {
        (tab.listeners[type] ||= []).push((event) => signal.aborted || listener(event));
      },
      AbortController,
      AbortSignal: { timeout: () => undefined },
      CustomEvent,
      Event,
      EventTarget,
      URL,
    };
  }
}
