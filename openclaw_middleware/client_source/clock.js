/**
 * The server's clock, as this page can tell it.
 *
 * Deadlines are instants on the server's clock. Between two answers it is carried on by whichever
 * of the page's two clocks went further: the wall clock goes on while the machine sleeps, the
 * monotonic one is not put back by anybody. Where they disagree the server has to be asked.
 */

/** Milliseconds the two clocks may drift apart between two answers. */
const DRIFT = 2000;

let server = 0;
let wallThen = 0;
let monoThen = 0;

/** Milliseconds of the wall clock: what all tabs share. */
export const wall = () => Date.now();

/** Milliseconds of the monotonic clock: for waiting. */
export const mono = () => performance.now();

const passed = () => [wall() - wallThen, mono() - monoThen];

/**
 * The server said `seconds` when the wall clock stood at `then`.
 * @param {number} seconds
 * @param {number} then
 */
export function set(seconds, then) {
  server = seconds;
  wallThen = then;
  monoThen = mono() - wall() + then;
}

/** The server's epoch seconds. */
export const now = () => server + Math.max(...passed()) / 1000;

/** The two clocks disagree: the machine slept, or a clock was set. */
export function jumped() {
  const [wall, mono] = passed();
  return Math.abs(wall - mono) > DRIFT;
}
