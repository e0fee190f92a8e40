/**
 * The keeper: what is believed of the session, when to ask, and what to tell the page.
 *
 * The server is the only judge. Everything here is derived from its latest answer, the server's
 * clock and the stamp the tabs share; `judge` does that again every second and whenever anything
 * may have changed. A look costs nothing, and no request is due only because a timer fired.
 */

import { INPUT, WAKING, listen } from "./activity.js";
import { jumped, mono, now, set, wall } from "./clock.js";
import { ask } from "./server.js";
import { makeTabs } from "./tabs.js";

/** @import { Answer, Reply } from "./server.js" */

/**
 * @typedef {object} Options
 * @property {string | null} [base] where the endpoints are, seen from this script, ending in a slash [beside it]
 * @property {string | null} [path] the page's path [that of the address bar at each request]
 * @property {boolean} [anonymous] guard the sessions of visitors not signed in, too
 * @property {Answer | null} [atLoad] what `status` would have answered while the page was made
 * @property {string | null} [loginUrl] the login page; `heard` recognises it
 * @property {EventTarget} [target] where the events are dispatched [the keeper]
 */

/**
 * - `unknown`: nothing heard from the server yet; `none`: no session to guard; `active`
 * - `idle`, `absolute`: that limit is near, the person is warned
 * - `stale`: the session lives, but this area wants a fresh sign-in
 * - `unverified`: its time is over, and the server cannot be asked; `ended`
 * @typedef {"unknown" | "none" | "active" | "idle" | "absolute" | "stale" | "unverified" | "ended"} Phase
 */

/**
 * The latest answer, and what is made of it. `reason` says why the session ended.
 * @typedef {Partial<Answer> & { phase: Phase, left: number, offline: boolean }} Status
 *   `left`: seconds until the limit that is warned of, else until the first one
 *   `offline`: the server could not be asked the last time
 */

/** Milliseconds between two looks at the clocks: timers are late, and clocks jump. */
const LOOK = 1000;
/** An end that comes this many seconds before the announced one was not announced. */
const SLACK = 5;
/** Milliseconds a lock is kept after the answer was posted, so that the others have it. */
const SETTLE = 100;
/** Seconds by which an answer is not believed because a later one came first. */
const OVERTAKEN = 60;
/** A tab frozen with the lock in its hands must not stop the others. */
const MAX_BUSY = 5;

export class SessionKeeper extends EventTarget {
  /** @param {Options} [options] */
  constructor(options = {}) {
    super();
    const base = new URL(options.base || ".", import.meta.url).href;
    const tabs = makeTabs("session-keeper:" + base, hear);
    const { read, write, post } = tabs;

    /** @type {Answer | undefined} The latest judgement. */
    let known;
    let alive = false;
    let idleEnds = Infinity;
    let absoluteEnds = Infinity;
    /** @type {Phase} */
    let phase = "unknown";
    /** @type {Phase | undefined} A warning the person has read. */
    let dismissed;
    /** @type {{ state: Answer["state"], reason: string } | undefined} */
    let end;
    /** How often in a row the server could not be asked. */
    let failures = 0;
    let busy = 0;
    let retryAt = 0;
    let lastAct = -Infinity;
    let asking = false;
    let recheck = false;
    /** The person wants to stay. */
    let wish = false;
    /** @type {number} */
    let timer;
    /** @type {AbortController | undefined} */
    let running;

    /** Begin to guard. Does nothing where it is guarding already. */
    this.start = () => {
      if (running) return;
      running = new AbortController();
      const { signal } = running;
      /** @param {string} types @param {(event: any) => void} listener */
      const on = (types, listener) => listen(types, listener, signal);
      on(INPUT, (event) => event.isTrusted && act());
      on(WAKING, (event) => event.target.tagName || wake());
      on("pagehide", tabs.leave);
      on("pageshow", (event) => {
        tabs.join();
        if (event.persisted) check();
      });
      on("storage", () => tabs.news() && check());
      tabs.join();
      const { atLoad } = options;
      // A page out of a cache says what was true long ago.
      if (atLoad && Math.abs(atLoad.now - wall() / 1000) < 30) adopt(atLoad, wall());
      timer = setInterval(judge, LOOK);
      judge();
    };

    /** Guard no longer: nothing is sent, nobody is told. */
    this.stop = () => {
      running?.abort();
      running = undefined;
      clearInterval(timer);
      tabs.leave();
    };

    const remaining = () => Math.min(idleEnds, absoluteEnds) - now();

    /** @returns {Status} */
    const status = (this.status = () => ({
      ...known,
      phase,
      left: phase == "absolute" ? absoluteEnds - now() : remaining(),
      offline: failures > 0,
      ...end,
    }));

    /** Ask the server now, without extending anything. */
    const check = (this.check = () => {
      recheck = true;
      retryAt = 0;
      judge();
    });

    /** The person wants to stay: asked of the server until it has judged. */
    this.extend = () => {
      wish = true;
      write({ acted: wall() });
      check();
    };

    /**
     * Sign out here and in all tabs.
     * @returns {Promise<boolean>} false where the server could not be asked: nothing has ended then
     */
    this.logout = async () => {
      const reply = await exchange("logout", {});
      const out = !!reply?.answer.now; // a login page has ended nothing
      if (out) tell(reply);
      else recheck = true; // until the server can be asked again
      judge();
      return out;
    };

    /** Don't warn again of what is warned of now: the absolute limit, or a stale area. */
    this.dismiss = () => {
      dismissed = phase;
      judge();
    };

    /**
     * Show the answer of a request of the application's own: a 401, or one that was redirected to
     * the login page, makes the keeper ask the server at once.
     * @param {Response} response
     * @returns {boolean} whether it was one of those
     */
    this.heard = ({ status, redirected, url }) => {
      const out = status == 401 || (redirected && url.includes(options.loginUrl || "\n"));
      if (out) check();
      return out;
    };

    const path = () => options.path || location.pathname;

    function act() {
      // While the warning asks, only its buttons answer.
      if (!alive || phase == "idle" || mono() - lastAct < 1000) return;
      lastAct = mono();
      write({ acted: wall() });
      judge();
    }

    /** Somebody looks again, or the network is back. */
    function wake() {
      const calm = phase == "active" || phase == "none";
      const fresh = known && now() - known.now < (calm ? known.heartbeat_interval : 2);
      if (failures || (!fresh && document.visibilityState == "visible")) check();
      else judge();
    }

    /** Derive everything anew: show it, and ask what has to be asked. */
    function judge() {
      if (!running) return;
      show();
      if (wanted() && !asking && mono() >= retryAt) request();
    }

    /**
     * The server's instants at which the answer before them no longer does: warnings, and end.
     * @param {Answer} known
     */
    function instants(known) {
      return [
        idleEnds < absoluteEnds - 1 ? idleEnds - known.warning_lead : Infinity,
        absoluteEnds - known.absolute_warning_lead,
        Math.min(idleEnds, absoluteEnds),
      ];
    }

    /** What has to be asked of the server now, if anything. */
    function wanted() {
      if (wish) return "heartbeat";
      // Something in between may let only one of the two through.
      if (!known || recheck || (alive && jumped())) return failures % 2 ? "heartbeat" : "status";
      if (!alive) return "";
      const { acted, told, beat } = read();
      const before = known.now;
      const time = now();
      const limits = instants(known);
      if (limits.some((instant) => before < instant && instant <= time)) {
        return acted > told && time < limits[2] ? "heartbeat" : "status";
      }
      const due =
        wall() - beat >= 1000 * known.heartbeat_interval &&
        time >= before + (known.next_heartbeat || 0);
      return acted > told && due && "heartbeat";
    }

    /** Ask what is wanted: what somebody waits for at once, the rest by one tab for all. */
    async function request() {
      asking = true;
      const urgent = wish || recheck || !known || busy >= MAX_BUSY;
      /** @returns {Promise<true>} */
      const work = async () => {
        const need = wanted(); // another tab may have asked meanwhile
        if (need) await question(need == "heartbeat");
        if (!urgent) await new Promise((resolve) => setTimeout(resolve, SETTLE));
        return true;
      };
      // Where another tab is at it: at the next look, be it a moment early, or when somebody checks.
      retryAt = mono() + LOOK / 2;
      if (!(await (urgent ? work() : tabs.alone(work)))) busy++;
      asking = false;
      judge();
    }

    /** @param {boolean} beat a heartbeat, or a question that extends nothing */
    async function question(beat) {
      const { acted } = read();
      const asked = wish;
      const here = path();
      const reply = await (beat
        ? exchange("heartbeat", { idle: (wall() - acted) / 1000 })
        : exchange("status"));
      if (!reply) return;
      recheck = false;
      if (beat) write({ beat: wall(), told: acted });
      tell(reply, here, true);
      // Only what ends the warning is an extension; the server may say when it can be had.
      if (asked && derive() == "idle") retryAt = mono() + 1000 * (reply.answer.next_heartbeat || 5);
      else if (asked) wish = false;
      show();
    }

    /**
     * Believe an answer, here and in the other tabs.
     * @param {Reply & { answer: Answer }} reply @param {string} [path] @param {boolean} [own]
     */
    function tell({ answer, at }, path, own) {
      adopt(answer, at, own);
      post({ answer, at, path });
    }

    /**
     * @param {string} name
     * @param {object} [body]
     * @returns {Promise<Required<Reply> | undefined>} nothing where there was no judgement
     */
    async function exchange(name, body) {
      const reply = await ask(base + name + "?path=" + encodeURIComponent(path()), body);
      if (!running) return;
      if (!reply.answer) return failed(reply);
      retryAt = 0;
      if (failures) {
        failures = 0;
        emit("online");
      }
      return /** @type {Required<Reply>} */ (reply);
    }

    /**
     * No judgement, so not an end. Wait longer each time, or as the server asks, but less as the
     * end comes near.
     * @param {Reply} reply
     * @returns {undefined}
     */
    function failed({ response }) {
      const left = remaining();
      const most = left > 0 ? Math.max(1, left / 4) : 60;
      const asked = Number(response?.headers.get("retry-after")) || 0;
      const seconds = Math.min(most, Math.max(Math.min(asked, 300), Math.min(2 ** failures, 60)));
      retryAt = mono() + seconds * 1000 * (1 + Math.random() / 4);
      if (!failures++) emit("offline", { status: response?.status });
    }

    /**
     * Believe an answer.
     * @param {Answer} answer
     * @param {number} at when it was asked for, on the wall clock
     * @param {boolean} [own] this tab asked
     */
    function adopt(answer, at, own) {
      const before = known;
      const age = before ? before.now - answer.now : 0;
      if (age > 0 && age < OVERTAKEN) return;
      const believed = alive;
      const left = remaining();
      const { state, session, signed_in: signedIn } = answer;
      busy = 0;
      if (answer.now) set(answer.now, at);
      known = { ...before, ...answer, now: answer.now || before?.now || 0 };
      if (!session || !(signedIn || options.anonymous)) {
        const lost = session ? "replaced" : state;
        const reason = answer.reason || "gone";
        // The server is told, once for all tabs, of an end that was not announced.
        if (own && believed && left > SLACK && reason != "signed_out" && !read().lost) {
          write({ lost: true });
          ask(base + "lost?", { state: lost, believed_left: left });
        }
        if (alive) end = { state: lost, reason };
        alive = wish = false;
        return;
      }
      /** @param {number | null} [left] */
      const until = (left) => answer.now + Math.max(1, left ?? Infinity);
      const ends = until(answer.idle_left);
      const longer = ends > idleEnds + 1;
      const same = session == before?.session;
      alive = true;
      end = undefined;
      idleEnds = ends;
      absoluteEnds = until(answer.absolute_left);
      if (!same) {
        post({}); // to those who still believe in the other session
        tabs.join(session);
      }
      if (believed && !same) emit("changed");
      if (before && signedIn && !(believed && before.signed_in)) emit("signed-in");
      if (believed && same && longer) emit("extended");
    }

    /** Another tab says something. @param {any} message */
    function hear({ answer, at, path: theirs }) {
      if (!answer) return check();
      else if (!answer.session || theirs == path()) adopt(answer, at);
      // Limits can differ from area to area: those of another page are not ours.
      else if (phase == "active") set(answer.now, at);
      else return check();
      judge();
    }

    const show = () => {
      const before = phase;
      phase = derive();
      if (phase != before) {
        if (phase == "idle" || phase == "absolute") emit("warning");
        else if (phase != "none" && phase != "active") emit(phase);
      }
      this.dispatchEvent(new Event("change"));
    };

    /** @returns {Phase} */
    function derive() {
      if (end) return "ended";
      if (!known) return "unknown";
      if (!alive) return "none";
      const before = known.now;
      const time = now();
      const [idleWarns, absoluteWarns, ends] = instants(known);
      // After a jump, and at the end itself, the server is being asked.
      if (!failures && (jumped() || time >= ends)) return phase;
      if (time >= ends) return "unverified";
      /** @param {number} instant */
      const reached = (instant) => time >= instant && (failures || before >= instant);
      if (reached(idleWarns)) return "idle";
      /** @type {Phase} */
      const next = reached(absoluteWarns) ? "absolute" : known.state == "stale" ? "stale" : "active";
      if (next == dismissed) return "active";
      dismissed = undefined;
      return next;
    }

    /** @param {string} name @param {object} [detail] */
    const emit = (name, detail) => {
      const init = { detail: { ...status(), ...detail }, bubbles: true };
      (options.target || this).dispatchEvent(new CustomEvent("session-" + name, init));
    };
  }
}
