/**
 * `<session-keeper>`: the keeper's state as a dialog, and what happens to the page at the end.
 *
 * It asks nothing of the server itself, and closes only when the keeper's state says so.
 */

import { SessionKeeper } from "./keeper.js";
import { STYLE } from "./style.js";
import { choose, paced, text } from "./texts.js";

/** What the dialog is made of: tag, name, an attribute. What has no text is not displayed. */
const PARTS = [
  ["h2", "title", "tabindex", "-1"],
  ["p", "text"],
  ["p", "kept"],
  ["p", "countdown", "aria-hidden", "true"],
  ["p", "spoken", "role", "status"],
  ["p", "problem", "role", "status"],
  ["button", "stay"],
  ["a", "stale", "target", "_blank"],
  ["button", "close"],
  ["button", "out"],
];

export class SessionKeeperElement extends HTMLElement {
  /** @type {SessionKeeper | undefined} */
  keeper;

  connectedCallback() {
    this.keeper = begin(this);
  }

  disconnectedCallback() {
    this.keeper?.stop();
    this.shadowRoot?.replaceChildren();
  }
}

/** @param {Element} node @param {Record<string, string>} attributes */
function put(node, attributes) {
  for (const name in attributes) node.setAttribute(name, attributes[name]);
}

/**
 * Start a keeper as the element's attributes say, and draw its state in the element's shadow. No
 * markup is parsed, so that Trusted Types can be required.
 * @param {SessionKeeperElement} host
 */
function begin(host) {
  /** @param {string} name */
  const get = (name) => host.getAttribute(name);
  const keeper = new SessionKeeper({
    base: get("base"),
    path: get("path"),
    loginUrl: get("login-url"),
    anonymous: host.hasAttribute("anonymous"),
    atLoad: JSON.parse(get("at-load") || "null"),
    target: host,
  });

  const root = host.shadowRoot || host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];
  const dialog = document.createElement("dialog");
  root.append(dialog);
  put(dialog, {
    role: "alertdialog",
    dir: "auto",
    "aria-labelledby": "title",
    "aria-describedby": "text kept spoken",
  });
  /** @type {Record<string, any>} */
  const parts = {};
  for (const [tag, id, name = "id", value = id] of PARTS) {
    const node = (parts[id] = document.createElement(tag));
    put(node, { id, part: tag + " " + id, [name]: value });
    dialog.append(node);
  }
  const { stay, close } = parts;
  stay.onclick = keeper.extend;
  close.onclick = keeper.dismiss;
  parts.out.onclick = keeper.logout;

  let before = "";
  let open = false;

  /** Escape, or the back gesture of a phone: what is safe. */
  const escape = () => (stay.textContent ? stay : close).click();
  dialog.oncancel = (event) => {
    event.preventDefault();
    escape();
  };
  dialog.onclose = () => {
    if (open) escape(); // the browser closed it; whatever is answered draws it again
  };

  function render() {
    const { phase, reason, offline, left } = keeper.status();
    const idle = phase == "idle";
    const stale = phase == "stale";
    const ended = phase == "ended";
    const warning = idle || phase == "absolute";
    const turned = before != phase;
    if (ended && turned) {
      const way = get("on-end"); // where it is neither, the dialog covers the page
      if (way == "reload") location.reload();
      if (way == "redirect") location.assign(get("end-url") || get("login-url") || "/");
    }
    before = phase;
    open = warning || stale || ended || phase == "unverified";
    if (!open) return dialog.close(); // gives the focus back to where it was
    const language = choose(host.lang, document.documentElement.lang, navigator.language);
    /** @param {unknown} shown @param {string | null} [name] */
    const say = (shown, name) =>
      shown ? (get("data-text-" + name) ?? text(name || "", language)) : "";
    const seconds = Math.max(0, Math.ceil(left));
    const clock = Math.floor(seconds / 60) + ":" + `${seconds % 60}`.padStart(2, "0");
    const title = say(open, warning ? "title" : phase);
    // The seconds are for the eye; the ear gets steps that change rarely.
    /** @type {Record<string, string>} */
    const content = {
      title,
      text: say(warning, phase) + say(ended, reason),
      kept: say(ended, "kept"),
      countdown: warning ? clock : "",
      spoken: warning ? title + ": " + paced(seconds, language) : title,
      problem: say(offline && warning, "unverified"),
      stay: say(idle, "stay"),
      stale: say(stale || ended, "stale"),
      close: say(stale || (warning && !idle), "close"),
      out: say(warning, "out"),
    };
    for (const id in content) {
      if (parts[id].textContent != content[id]) parts[id].textContent = content[id];
    }
    put(dialog, {
      lang: language,
      part: "dialog " + phase,
      class: ended || phase == "unverified" ? "cover" : "",
    });
    put(parts.stale, { href: get("login-url") || location.href });
    if (!dialog.open) dialog.showModal();
    // It is the title that gets the focus: a key pressed while typing must not answer.
    if (turned) parts.title.focus();
  }

  keeper.addEventListener("change", render);
  keeper.start();
  return keeper;
}
