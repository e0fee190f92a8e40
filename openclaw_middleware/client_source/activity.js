/** What the keeper listens to; and what counts as the person acting. */

/**
 * Input, if it is trusted. Movement of a pointer, focus, and what scripts dispatch don't count. Of
 * a click by a screen reader or by voice there is nothing but the click.
 */
export const INPUT = "pointerdown click keydown wheel touchmove input";

/** Occasions to look again. */
export const WAKING = "visibilitychange resume focus online";

/**
 * Listen to what happens to the window and anything in it.
 * @param {string} types
 * @param {(event: any) => void} listener
 * @param {AbortSignal} signal
 */
export function listen(types, listener, signal) {
  for (const type of types.split(" ")) {
    addEventListener(type, listener, { capture: true, passive: true, signal });
  }
}
