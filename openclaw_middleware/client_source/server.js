/**
 * The requests, and what their answers are: a judgement of the server's, or none.
 *
 * Only JSON that names the question it answers is a judgement: what a cache kept for somebody else
 * is none. A redirect, or a page answered with 200, is the login page of something in between.
 * Everything else says nothing about the session.
 */

import { wall } from "./clock.js";

/**
 * What `status`, `heartbeat` and `logout` answer. Times are in seconds. For a login page, `now` is
 * 0, and all else is missing.
 * @typedef {object} Answer
 * @property {"active" | "stale" | "anonymous" | "ended" | "replaced" | "login_page"} state
 * @property {string | null} [reason]
 * @property {number} now
 * @property {string | null} [session]
 * @property {boolean} signed_in
 * @property {number | null} [idle_left]
 * @property {number | null} [absolute_left]
 * @property {number} warning_lead
 * @property {number} absolute_warning_lead
 * @property {number} heartbeat_interval
 * @property {number | null} [next_heartbeat]
 * @property {boolean} [extended]
 */

/**
 * `answer` is missing where there was no judgement. `at` is when it was asked for, on our wall clock:
 * its `now` was then or later, so that ends are never taken for later than they are.
 * @typedef {object} Reply
 * @property {Answer} [answer]
 * @property {number} at
 * @property {Response} [response] the HTTP response, if there was one
 */

/** Milliseconds after which a request without an answer has failed. */
const PATIENCE = 10000;

/**
 * Ask, and never throw. A GET without a `body`, else a POST.
 * @param {string} url with a query begun
 * @param {object} [body]
 * @returns {Promise<Reply>}
 */
export async function ask(url, body) {
  const at = wall();
  const nonce = Math.random();
  let response, answer;
  try {
    response = await fetch(url + "&nonce=" + nonce, {
      method: body && "POST",
      headers: { "content-type": "application/json", "x-session-client": "1" },
      body: JSON.stringify(body),
      cache: "no-store",
      redirect: "manual",
      keepalive: true,
      signal: AbortSignal.timeout(PATIENCE),
    });
    const { status, type } = response;
    const text = await response.text();
    if (status == 200 || type == "opaqueredirect") answer = { state: "login_page", now: 0 };
    if (status == 200 || status == 401) {
      const found = JSON.parse(text);
      answer = found?.nonce == nonce ? found : undefined;
    }
  } catch {} // the network's failure, or text that is not JSON
  return { answer, at, response };
}
