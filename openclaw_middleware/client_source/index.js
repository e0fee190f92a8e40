/** The module that is served: the element for pages, and the keeper for applications. */

import { SessionKeeperElement } from "./dialog.js";

export { SessionKeeper } from "./keeper.js";

if (!customElements.get("session-keeper")) {
  customElements.define("session-keeper", SessionKeeperElement);
}
