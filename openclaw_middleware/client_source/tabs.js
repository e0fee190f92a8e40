/**
 * What the tabs of one session have in common: a stamp, a channel, and a lock.
 *
 * All three may be missing or blocked, and a tab may be frozen at any line: nothing here is ever
 * waited for. The channel and the stamp carry the session's key, so that two sessions never mix.
 */

import { wall } from "./clock.js";

/**
 * Instants are milliseconds of the wall clock, which all tabs share; 0 is never.
 * @typedef {object} Stamp
 * @property {string} [session] whose stamp it is
 * @property {number} acted when the person last acted
 * @property {number} told the latest such instant the server was told of
 * @property {number} beat when the last heartbeat was answered
 * @property {boolean} [lost] its unexpected end was reported
 */

/** @param {string} [session] @returns {Stamp} */
const blank = (session) => ({ session, acted: 0, told: 0, beat: 0 });

/**
 * @param {string} key
 * @param {(message: any) => void} hear
 */
export function makeTabs(key, hear) {
  let stamp = blank();
  /** @type {string | undefined} */
  let seen;
  /** Read instead of the storage, once that takes no more. */
  let full = "";
  /** @type {BroadcastChannel | undefined} */
  let channel;

  /** @returns {Stamp} */
  function stored() {
    try {
      return Object(JSON.parse(full || localStorage[key]));
    } catch {
      return blank();
    }
  }

  /** Our stamp, as whichever tab wrote it last. */
  function read() {
    const theirs = stored();
    if (theirs.session == stamp.session) stamp = theirs;
    // An instant still to come is from before the clock was put back.
    if (!(Math.max(stamp.acted, stamp.beat) < wall() + 1000)) stamp = blank(stamp.session);
    return stamp;
  }

  /** @param {Partial<Stamp>} change */
  function write(change) {
    Object.assign(read(), change);
    try {
      localStorage[key] = JSON.stringify(stamp);
    } catch {
      full = "{}"; // what is stored would say that nobody has acted since
    }
  }

  /** An open channel could keep a page out of the browser's back/forward cache. */
  function leave() {
    channel?.close();
    channel = undefined;
  }

  /** @param {string} [session] that of the stamp: join again after `leave` */
  function join(session = stamp.session) {
    if (session != stamp.session) {
      stamp = blank(session);
      leave();
      write({});
    }
    if (!session || channel) return;
    try {
      channel = new BroadcastChannel(key + session);
      channel.onmessage = (event) => hear(event.data);
    } catch {}
  }

  return {
    read,
    write,
    join,
    leave,

    /** Whether a session appeared, in another tab, that we had not heard of. */
    news() {
      const { session } = stored();
      const found = session && session != stamp.session && session != seen;
      seen = session;
      return found;
    },

    /** @param {object} message */
    post(message) {
      channel?.postMessage(message);
    },

    /**
     * Do the work unless another tab is at it now; say whether it was done.
     * @param {() => Promise<true>} work which never throws
     */
    async alone(work) {
      try {
        return await navigator.locks.request(key, { ifAvailable: true }, async (lock) => lock && work());
      } catch {
        return work(); // no locks in this browser, or none for this page
      }
    },
  };
}
