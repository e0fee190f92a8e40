/**
 * A single page that is drawn from what the keeper says. It draws its own warning; with the
 * element `<session-keeper>` in the page the dialog would be there without any of this.
 */

import { SessionKeeper } from "/_session/client.js";

/** @param {string} selector @returns {any} */
const find = (selector) => document.querySelector(selector);

const keeper = new SessionKeeper();
let user = "";
/** Why the visit before ended, in words for its person. */
let farewell = "";

const REASONS = {
  idle: "You were away for a while.",
  absolute: "The time of one visit is over.",
  revoked: "Your session was ended elsewhere.",
  limit: "You signed in on another device.",
  signed_out: "You have signed out.",
};

/** Ask the application; the keeper hears of answers that mean the session may be over. */
async function call(path, method = "GET", content = undefined) {
  const response = await fetch(path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: content && JSON.stringify(content),
  });
  keeper.heard(response);
  return response;
}

/** Everything that is shown follows from the keeper's state, the user, and the address. */
function draw() {
  const { phase, left, offline } = keeper.status();
  const warned = phase == "idle" || phase == "absolute";
  const asked = phase == "stale";
  const keys = location.pathname == "/keys";

  find("#who").hidden = find("#views").hidden = !user;
  find("#who output").value = user;
  find("#offline").hidden = !offline;
  find("#warning").hidden = !user || !warned;
  find("#warning output").value = `Signed out in ${Math.max(0, Math.ceil(left))} s.`;
  find("#stay").hidden = phase != "idle"; // nothing moves the end of the whole visit
  find("#sign-in").hidden = !!user && !asked;
  find("#why").textContent = asked ? "Sign in again to see the keys." : farewell;
  // Hidden, not removed: what was typed is there after the next sign-in.
  find("#note").hidden = !user || keys;
  find("#keys").hidden = !user || !keys || asked;
}

async function load() {
  user = (await (await call("/me")).json()).user || "";
  if (!user) return draw();
  if (location.pathname == "/keys") {
    const response = await call("/keys/list");
    const names = response.ok ? await response.json() : [];
    const items = names.map((name) => Object.assign(document.createElement("li"), { textContent: name }));
    find("#keys").replaceChildren(...items);
  } else if (!find("#text").value) {
    find("#text").value = (await (await call("/note")).json()).text;
  }
  draw();
}

find("#views").onclick = (event) => {
  if (!event.target.href) return;
  event.preventDefault();
  history.pushState(null, "", event.target.href);
  keeper.check(); // another path may have other limits
  load();
};
addEventListener("popstate", load);

find("#sign-in").onsubmit = async (event) => {
  event.preventDefault();
  const form = event.target;
  const response = await call("/sign-in", "POST", Object.fromEntries(new FormData(form)));
  find("#wrong").textContent = response.ok ? "" : "Wrong name or password.";
  if (!response.ok) return;
  form.reset();
  farewell = "";
  keeper.check();
  await load();
};

find("#note").onsubmit = async (event) => {
  event.preventDefault();
  const response = await call("/note", "PUT", { text: find("#text").value });
  find("#note output").value = response.ok ? "Kept." : "Not kept.";
};

find("#stay").onclick = keeper.extend;
find("#sign-out").onclick = keeper.logout;

keeper.addEventListener("session-ended", (event) => {
  user = "";
  farewell = REASONS[event.detail.reason] || "Please sign in again.";
});
// Somebody signed in in another tab, or as somebody else.
for (const type of ["session-signed-in", "session-changed"]) keeper.addEventListener(type, load);
keeper.addEventListener("change", draw);

keeper.start();
load();
