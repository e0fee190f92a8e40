/** The module that is served: the keeper for applications, and the element for pages. */

import { SessionKeeperElement } from "./dialog.js";

export { SessionKeeper } from "./keeper.js";
export { SessionKeeperElement };

if (!customElements.get("session-keeper")) {
  customElements.define("session-keeper", SessionKeeperElement);
}
