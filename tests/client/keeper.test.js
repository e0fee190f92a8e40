/** The keeper's rules, in time that a test moves. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Lab } from "./lab.js";

/** Somebody signed in, with so many tabs. */
async function signedIn({ tabs = 1, options = {}, without = {}, login = {} } = {}) {
  const lab = new Lab();
  lab.server.login(login);
  const opened = [];
  for (let count = 0; count < tabs; count++) opened.push(await lab.open(options, without));
  assert.deepEqual(opened.map((tab) => tab.phase), opened.map(() => "active"));
  return { lab, server: lab.server, tab: opened[0], tabs: opened, other: opened[1] };
}

const fails = (status = 500) => () => ({ status, text: "<p>Broken" });
const WARNS = 1680;
const ENDS = 1800;

test("nobody there: no heartbeat, three questions in an hour, then it is ended", async () => {
  const { lab, server, tab } = await signedIn();
  await lab.pass(3600);
  assert.equal(server.count("heartbeat"), 0);
  assert.deepEqual(
    server.log.map(({ name, at }) => [name, Math.round(at)]),
    [["status", 0], ["status", WARNS], ["status", ENDS]],
  );
  assert.deepEqual(tab.heard.map(([name]) => name), ["warning", "ended"]);
  assert.equal(tab.keeper.status().reason, "idle");
});

test("nobody there in five tabs: one asks for all", async () => {
  const { lab, server, tabs } = await signedIn({ tabs: 5 });
  await lab.pass(3600);
  assert.equal(server.count("heartbeat"), 0);
  assert.equal(server.count("status"), 5 + 1 + 1);
  for (const tab of tabs) assert.deepEqual([tab.phase, tab.times("warning")], ["ended", 1]);
});

test("a tab that looks just before it hears of the answer does not ask again", async () => {
  const { lab, server } = await signedIn({ tabs: 2 });
  lab.delivery = 90; // the second tab looks 100 ms after the first, the answer takes 20
  await lab.pass(WARNS + 30);
  assert.equal(server.count("status"), 2 + 1);
});

test("a click that nobody's pointer made, as assistive technology does, is somebody", async () => {
  const { lab, server, tab } = await signedIn();
  tab.dispatch("click");
  await lab.pass(302);
  assert.equal(server.count("heartbeat"), 1);
});

test("input of scripts is nobody", async () => {
  const { lab, server, tab } = await signedIn();
  for (let minute = 0; minute < 20; minute++) {
    tab.dispatch("keydown", { isTrusted: false });
    await lab.pass(60);
  }
  assert.equal(server.count("heartbeat"), 0);
});

test("a heartbeat tells when the person acted, at the interval and not before", async () => {
  const { lab, server, tab } = await signedIn();
  await lab.pass(40);
  tab.act();
  await lab.pass(250);
  assert.equal(server.count("heartbeat"), 0);
  await lab.pass(20);
  const [beat] = server.log.filter(({ name }) => name == "heartbeat");
  assert.ok(Math.abs(beat.at - 300) < 1.2, `${beat.at}`);
  assert.ok(Math.abs(beat.body.idle - (beat.at - 40)) < 1, `${beat.body.idle}`);
  assert.equal(new URLSearchParams(beat.query).get("path"), "/");
  await lab.pass(900);
  assert.equal(server.count("heartbeat"), 1);
});

test("an hour of work in five tabs: at most one heartbeat per interval", async () => {
  const { lab, server, tabs } = await signedIn({ tabs: 5 });
  for (let step = 0; step < 360; step++) {
    tabs[step % 5].act();
    await lab.pass(10);
  }
  const beats = server.log.filter(({ name }) => name == "heartbeat").map(({ at }) => at);
  assert.ok(beats.length >= 11 && beats.length <= 12, `${beats}`);
  for (let index = 1; index < beats.length; index++) {
    assert.ok(beats[index] - beats[index - 1] >= 299.9, `${beats}`);
  }
  assert.equal(server.count("status"), 5);
  assert.ok(tabs.every((tab) => tab.phase == "active" && !tab.times("warning")));
});

test("the idle time told is that of the tab where the person was last", async () => {
  const { lab, server, tab, other } = await signedIn({ tabs: 2 });
  await lab.pass(10);
  tab.act();
  await lab.pass(280);
  other.act();
  await lab.pass(15);
  const [beat] = server.log.filter(({ name }) => name == "heartbeat");
  assert.ok(beat.body.idle < 15, `${beat.body.idle}`);
  assert.equal(server.count("heartbeat"), 1);
});

test("who acted since the last heartbeat is not warned", async () => {
  const { lab, server, tab } = await signedIn();
  server.interval = 1700;
  tab.keeper.check();
  await lab.pass(WARNS - 10);
  tab.act();
  await lab.pass(20);
  assert.equal(server.count("heartbeat"), 1);
  assert.equal(tab.times("warning"), 0);
  assert.ok(tab.keeper.status().left > 1700);
});

test("what another page's request extended is not warned of", async () => {
  const { lab, server, tab } = await signedIn();
  await lab.pass(1000);
  server.touch();
  await lab.pass(900);
  assert.equal(tab.times("warning"), 0);
  assert.equal(tab.phase, "active");
});

test("the warning comes at the lead and closes in all tabs when the server has confirmed", async () => {
  const { lab, server, tab, other } = await signedIn({ tabs: 2 });
  await lab.pass(WARNS - 2);
  assert.equal(tab.phase, "active");
  await lab.pass(3);
  assert.deepEqual([tab.phase, other.phase], ["idle", "idle"]);
  assert.ok(Math.abs(tab.heard[0][1].left - 120) < 2);
  lab.latency = 500;
  tab.keeper.extend();
  await lab.pass(0.4);
  assert.equal(tab.phase, "idle");
  await lab.pass(0.7);
  assert.deepEqual([tab.phase, other.phase], ["active", "active"]);
  assert.deepEqual([tab.times("extended"), other.times("extended")], [1, 1]);
  assert.equal(server.log.at(-1)?.body.idle < 1, true);
});

test("while it warns, only its buttons answer", async () => {
  const { lab, server, tab } = await signedIn();
  await lab.pass(WARNS + 5);
  tab.act();
  await lab.pass(20);
  assert.equal(server.count("heartbeat"), 0);
  assert.equal(tab.phase, "idle");
});

test("an extension that fails: the warning stays, says so, and it is tried again", async () => {
  const { lab, server, tab } = await signedIn();
  await lab.pass(WARNS + 2);
  server.instead = fails();
  tab.keeper.extend();
  await lab.pass(20);
  const tried = server.count("heartbeat");
  assert.ok(tried >= 3 && tried <= 6, `${tried}`);
  assert.equal(tab.phase, "idle");
  assert.equal(tab.keeper.status().offline, true);
  assert.deepEqual(tab.heard.at(-1)?.[1].status, 500);
  server.instead = null;
  await lab.pass(30);
  assert.equal(tab.phase, "active");
  assert.equal(tab.times("online"), 1);
});

test("an extension the server does not make keeps the warning, and is not asked for in a loop", async () => {
  const { lab, server, tab } = await signedIn();
  await lab.pass(WARNS + 2);
  server.instead = (name) =>
    name == "heartbeat" && { status: 200, text: JSON.stringify(server.judgement()) };
  tab.keeper.extend();
  await lab.pass(11);
  assert.equal(tab.phase, "idle");
  assert.ok(server.count("heartbeat") <= 3);
});

test("the absolute limit warns for itself, and can be put aside", async () => {
  const { lab, server, tab } = await signedIn({ login: { absolute: 2000 } });
  for (let step = 0; step < 175; step++) {
    tab.act();
    await lab.pass(10);
  }
  assert.equal(tab.phase, "absolute");
  assert.ok(tab.keeper.status().left < 300);
  tab.keeper.dismiss();
  await lab.pass(100);
  assert.equal(tab.phase, "active");
  await lab.pass(170);
  assert.equal(tab.phase, "ended");
  assert.equal(tab.keeper.status().reason, "absolute");
  assert.equal(server.count("lost"), 0);
});

test("offline is not expired: at the deadline it cannot be checked, then it is", async () => {
  const { lab, server, tab } = await signedIn();
  await lab.pass(1000);
  server.instead = fails(0);
  await lab.pass(700);
  assert.equal(tab.phase, "idle");
  await lab.pass(800);
  assert.equal(tab.phase, "unverified");
  assert.equal(tab.times("ended"), 0);
  server.touch();
  server.instead = null;
  tab.dispatch("online");
  await lab.pass(1);
  assert.equal(tab.phase, "active");
});

test("after the deadline offline, the server's word ends it", async () => {
  const { lab, server, tab } = await signedIn();
  await lab.pass(1000);
  server.instead = fails(503);
  await lab.pass(1500);
  server.instead = null;
  await lab.pass(70);
  assert.equal(tab.phase, "ended");
  assert.equal(tab.keeper.status().reason, "idle");
  assert.equal(server.count("lost"), 0);
});

for (const [name, answer] of /** @type {[string, any][]} */ ([
  ["503", { status: 503, text: '{"state":"unavailable"}' }],
  ["404", { status: 404, text: "no" }],
  ["403 of a proxy", { status: 403, text: "<html>" }],
  ["401 without JSON", { status: 401, text: "<html>" }],
  ["JSON that is not ours", { status: 200, text: '{"ok":true}' }],
  ["a network error", { status: 0 }],
])) {
  test(`${name} is no judgement`, async () => {
    const { lab, server, tab } = await signedIn();
    server.instead = () => answer;
    tab.keeper.check();
    await lab.pass(600);
    assert.equal(tab.phase, "active");
    assert.equal(tab.times("offline"), 1);
    assert.ok(server.count() < 20, `${server.count()}`);
  });
}

test("an answer to another question, out of a cache, is no judgement", async () => {
  const { lab, server, tab } = await signedIn();
  const text = JSON.stringify({ ...server.judgement(), state: "ended", reason: "idle", session: null });
  server.instead = (name) => name == "status" && { status: 200, text, kept: true };
  tab.keeper.check();
  await lab.pass(10);
  assert.equal(tab.times("ended"), 0);
  // Nothing keeps the answer to a POST; one that extends nothing, as nobody has acted.
  assert.equal(tab.times("online"), 1);
  assert.equal(server.count("heartbeat"), 1);
  assert.ok(tab.keeper.status().left < 1791);
});

test("as long as Retry-After asks is waited", async () => {
  const { lab, server, tab } = await signedIn();
  server.instead = () => ({ status: 503, text: "", headers: { "Retry-After": "40" } });
  tab.keeper.check();
  await lab.pass(39);
  assert.equal(server.count(), 2);
  await lab.pass(15);
  assert.equal(server.count(), 3);
});

test("where a session is about to end, no more than a quarter of its time is waited", async () => {
  const { lab, server, tab } = await signedIn();
  await lab.pass(WARNS + 2);
  server.instead = () => ({ status: 503, text: "", headers: { "Retry-After": "300" } });
  tab.keeper.extend();
  await lab.pass(1);
  server.instead = null;
  await lab.pass(40);
  assert.equal(tab.phase, "active");
});

for (const [name, answer] of /** @type {[string, any][]} */ ([
  ["a redirect", { status: 0.5, type: "opaqueredirect", text: "" }],
  ["a page with 200", { status: 200, text: "<form>" }],
])) {
  test(`${name} is a login page: ended, and reported once`, async () => {
    const { lab, server, tabs } = await signedIn({ tabs: 3 });
    server.instead = (asked) => asked != "lost" && answer;
    for (const tab of tabs) tab.keeper.check();
    await lab.pass(5);
    for (const tab of tabs) {
      assert.equal(tab.phase, "ended");
      assert.equal(tab.heard.at(-1)?.[1].state, "login_page");
    }
    const lost = server.log.filter((entry) => entry.name == "lost");
    assert.equal(lost.length, 1);
    assert.equal(lost[0].body.state, "login_page");
    assert.ok(Math.abs(lost[0].body.believed_left - 1800) < 5);
  });
}

for (const reason of ["revoked", "limit", "theft", "replaced", "gone", "idle"]) {
  test(`an unannounced end (${reason}) is told, and reported once for all tabs`, async () => {
    const { lab, server, tabs } = await signedIn({ tabs: 3 });
    tabs[0].act();
    await lab.pass(100);
    server.end(reason);
    await lab.pass(300);
    for (const tab of tabs) {
      assert.equal(tab.heard.at(-1)?.[0], "ended");
      assert.equal(tab.heard.at(-1)?.[1].reason, reason);
    }
    assert.equal(server.count("lost"), 1);
  });
}

test("without storage it is reported once by each who found out", async () => {
  const { lab, server, tab } = await signedIn({ tabs: 3, without: { localStorage: undefined } });
  server.end("revoked");
  tab.keeper.check();
  await lab.pass(5);
  assert.equal(server.count("lost"), 1);
});

test("a sign-out elsewhere is no loss", async () => {
  const { lab, server, tab } = await signedIn();
  server.end("signed_out");
  tab.keeper.check();
  await lab.pass(1);
  assert.equal(tab.keeper.status().reason, "signed_out");
  assert.equal(server.count("lost"), 0);
});

test("an end that was found on one page is known on all", async () => {
  const lab = new Lab();
  lab.server.login();
  const page = await lab.open({ path: "/" });
  const area = await lab.open({ path: "/area/" });
  lab.server.end("revoked");
  area.keeper.check();
  await lab.pass(1);
  assert.deepEqual([page.phase, area.phase], ["ended", "ended"]);
});

test("without storage, too, another session is known in all tabs", async () => {
  const { lab, server, tab, other } = await signedIn({
    tabs: 2,
    without: { localStorage: undefined },
  });
  server.login({ key: "B" });
  tab.keeper.check();
  await lab.pass(1);
  assert.equal(other.keeper.status().session, "B");
});

test("stopped while it asks, it hears nothing", async () => {
  const { lab, server, tab, other } = await signedIn({ tabs: 2 });
  server.end("revoked");
  tab.keeper.check();
  tab.keeper.stop();
  await lab.pass(1);
  assert.deepEqual([tab.heard, other.heard], [[], []]);
  assert.equal(server.count("lost"), 0);
});

test("the nearer the end, the sooner it is tried again", async () => {
  const { lab, server, tab } = await signedIn();
  await lab.pass(WARNS + 2);
  server.instead = fails();
  tab.keeper.extend();
  await lab.pass(100);
  server.log.length = 0;
  await lab.pass(17);
  assert.ok(server.count("heartbeat") >= 3, `${server.count("heartbeat")}`);
});

test("a visitor's session in place of ours is an end: replaced", async () => {
  const { lab, server, tab } = await signedIn();
  server.login({ key: "B", signedIn: false });
  tab.keeper.check();
  await lab.pass(1);
  assert.equal(tab.heard.at(-1)?.[1].state, "replaced");
  assert.equal(server.log.at(-1)?.body.state, "replaced");
});

test("another session is told and adopted, in all tabs, and they mix nothing", async () => {
  const { lab, server, tab, other } = await signedIn({ tabs: 2 });
  other.freeze();
  await lab.pass(100);
  server.login({ key: "B" });
  tab.keeper.check();
  await lab.pass(1);
  assert.deepEqual(tab.heard.map(([name]) => name), ["changed"]);
  assert.equal(tab.keeper.status().session, "B");
  const seen = server.count("status");
  await other.thaw();
  await lab.pass(1);
  assert.equal(server.count("status"), seen + 1);
  assert.equal(other.keeper.status().session, "B");
  assert.equal(server.count("lost"), 0);
});

test("an answer that was overtaken is not believed", async () => {
  const { lab, server, tab, other } = await signedIn({ tabs: 2 });
  await lab.pass(WARNS + 5);
  lab.latency = 3000;
  other.keeper.check();
  await lab.pass(0.1);
  server.instead = (name) => {
    if (name == "status") return { status: 200, text: late };
  };
  const late = JSON.stringify(server.judgement());
  lab.latency = 100;
  tab.keeper.extend();
  await lab.pass(1);
  assert.equal(tab.phase, "active");
  await lab.pass(3);
  assert.equal(tab.phase, "active");
});

test("an answer that was on its way while the machine slept is not news", async () => {
  const { lab, server, tab } = await signedIn();
  lab.latency = 1000;
  const early = JSON.stringify(server.judgement());
  server.instead = () => ({ status: 200, text: early });
  tab.keeper.check();
  await lab.pass(0.5);
  lab.sleep(3600);
  await lab.pass(1);
  server.instead = null;
  await lab.pass(5);
  assert.equal(tab.phase, "ended");
});

test("an answer that took long is no younger than its question", async () => {
  const { lab, server, tab } = await signedIn();
  await lab.pass(100);
  lab.latency = 9000;
  tab.keeper.check();
  const late = server.judgement();
  server.instead = () => ({ status: 200, text: JSON.stringify(late) });
  await lab.pass(10);
  assert.ok(tab.keeper.status().left <= 1690, `${tab.keeper.status().left}`);
  lab.latency = 20;
  server.instead = null;
  await lab.pass(60);
  assert.equal(server.count(), 2);
});

test("an own answer that was overtaken by another tab's is not believed", async () => {
  const { lab, server, tab, other } = await signedIn({ tabs: 2 });
  await lab.pass(WARNS + 5);
  const late = JSON.stringify(server.judgement());
  server.instead = (name) => {
    if (name == "status") return { status: 200, text: late };
  };
  lab.latency = 3000;
  tab.keeper.check();
  await lab.pass(0.1);
  lab.latency = 100;
  other.keeper.extend();
  await lab.pass(1);
  assert.equal(tab.phase, "active");
  await lab.pass(3);
  assert.equal(tab.phase, "active");
});

test("what a page without a session sees is not written over the stamp of the others", async () => {
  const lab = new Lab();
  lab.server.login({ signedIn: false });
  const page = await lab.open();
  const guarded = await lab.open({ anonymous: true });
  guarded.act();
  const [key] = Object.keys(lab.storage);
  page.act();
  assert.equal(JSON.parse(lab.storage[key]).session, "A");
});

test("a page without a session asks once about each session of others, not at each of their acts", async () => {
  const lab = new Lab();
  lab.server.login({ signedIn: false });
  const guarded = await lab.open({ anonymous: true });
  const page = await lab.open();
  await lab.pass(1);
  const asked = lab.server.count();
  for (let act = 0; act < 20; act++) {
    guarded.act();
    await lab.pass(2);
  }
  assert.equal(page.phase, "none");
  assert.ok(lab.server.count() <= asked + 1, `${lab.server.count() - asked}`);
});

test("two sessions at once (two mounts) do not touch each other", async () => {
  const lab = new Lab();
  lab.server.login({ key: "A" });
  const first = await lab.open({ base: "https://page.example/a/_session/" });
  lab.server.login({ key: "B" });
  const second = await lab.open({ base: "https://page.example/b/_session/" });
  await lab.pass(WARNS + 2);
  assert.equal(second.phase, "idle");
  second.keeper.extend();
  await lab.pass(1);
  assert.equal(second.phase, "active");
  assert.equal(first.times("extended"), 0);
});

test("signing out ends it in all tabs, and is not a loss", async () => {
  const { lab, server, tab, other } = await signedIn({ tabs: 2 });
  const done = tab.keeper.logout();
  await lab.pass(1);
  assert.equal(await done, true);
  for (const each of [tab, other]) {
    assert.equal(each.phase, "ended");
    assert.equal(each.keeper.status().reason, "signed_out");
  }
  assert.equal(server.count("lost"), 0);
});

test("an answer from before the sign-out does not take it back", async () => {
  const { lab, server, tab, other } = await signedIn({ tabs: 2 });
  await lab.pass(10);
  const early = JSON.stringify(server.judgement());
  server.instead = (name) => (name == "status" ? { status: 200, text: early } : null);
  lab.latency = 1000;
  for (const each of [tab, other]) each.keeper.check();
  await lab.pass(0.1);
  lab.latency = 20;
  tab.keeper.logout();
  await lab.pass(0.5);
  assert.deepEqual([tab.phase, other.phase], ["ended", "ended"]);
  await lab.pass(2);
  assert.deepEqual([tab.phase, other.phase], ["ended", "ended"]);
  assert.equal(server.count("lost"), 0);
});

test("a sign-out that a portal answered has ended nothing", async () => {
  for (const instead of [
    { status: 200, text: "<html>Portal" },
    { status: 0, type: "opaqueredirect", text: "" },
    { status: 401, text: '{"state": "error", "now": 1}', kept: true },
  ]) {
    const { lab, server, tab, other } = await signedIn({ tabs: 2 });
    server.instead = (name) => (name === "logout" ? instead : null);
    const done = tab.keeper.logout();
    await lab.pass(3);
    assert.equal(await done, false);
    assert.equal(tab.phase, "active");
    assert.equal(other.phase, "active");
  }
});

test("a sign-out that failed has ended nothing", async () => {
  const { lab, server, tab } = await signedIn();
  server.instead = fails();
  const done = tab.keeper.logout();
  await lab.pass(1);
  assert.equal(await done, false);
  assert.equal(tab.phase, "active");
  assert.equal(tab.times("offline"), 1);
  server.instead = null;
  await lab.pass(10);
  assert.equal(tab.times("online"), 1);
});

test("an ended page comes back when somebody has signed in again elsewhere", async () => {
  const { lab, server, tab } = await signedIn();
  server.end("revoked");
  tab.keeper.check();
  await lab.pass(1);
  assert.equal(tab.phase, "ended");
  const asked = server.count();
  await lab.pass(600);
  assert.equal(server.count(), asked);
  server.login({ key: "B" });
  const login = await lab.open();
  await lab.pass(1);
  assert.equal(login.phase, "active");
  assert.equal(tab.phase, "active");
  assert.equal(tab.times("signed-in"), 1);
});

test("without the storage event, looking at it is enough", async () => {
  const { lab, server, tab } = await signedIn({ without: { localStorage: undefined } });
  server.end("revoked");
  tab.keeper.check();
  await lab.pass(1);
  server.login({ key: "B" });
  await lab.pass(60);
  assert.equal(tab.phase, "ended");
  tab.show();
  await lab.pass(1);
  assert.equal(tab.phase, "active");
});

test("the machine slept past the end: asked at once, ended, no heartbeat that could revive", async () => {
  const { lab, server, tab } = await signedIn();
  tab.act();
  await lab.pass(100);
  lab.sleep(7200);
  await lab.pass(2);
  assert.equal(tab.phase, "ended");
  assert.equal(server.count("heartbeat"), 0);
});

for (const jump of [3600, -3600]) {
  test(`a clock set by ${jump} s: asked, and nobody is warned or signed out`, async () => {
    const { lab, server, tab } = await signedIn();
    await lab.pass(300);
    tab.act();
    await lab.pass(100);
    lab.setClock(jump);
    await lab.pass(2);
    assert.equal(server.count("status"), 2);
    assert.equal(tab.phase, "active");
    assert.deepEqual(tab.heard.filter(([name]) => name != "extended"), []);
    assert.ok(Math.abs(tab.keeper.status().left - 1700) < 5, `${tab.keeper.status().left}`);
    tab.act();
    await lab.pass(310);
    assert.equal(server.count("heartbeat"), 2);
  });
}

for (const [name, move] of /** @type {[string, (lab: Lab) => void][]} */ ([
  ["after a sleep", (lab) => lab.sleep(3600)],
  ["although the clock was put back", (lab) => lab.setClock(-3600)],
])) {
  test(`offline, the end is noticed ${name}`, async () => {
    const { lab, server, tab } = await signedIn();
    await lab.pass(1000);
    server.instead = fails(0);
    move(lab);
    await lab.pass(name == "after a sleep" ? 5 : 900);
    assert.equal(tab.phase, "unverified");
  });
}

test("a tab frozen with the lock in its hands does not stop the others", async () => {
  const { lab, server, tab, other } = await signedIn({ tabs: 2 });
  tab.act();
  lab.latency = 5000;
  await lab.pass(302);
  assert.equal(server.count("heartbeat"), 1);
  const [holder, free] = lab.locks.values().next().value === tab ? [tab, other] : [other, tab];
  holder.freeze();
  lab.latency = 20;
  for (let step = 0; step < 70; step++) {
    free.act();
    await lab.pass(10);
  }
  assert.equal(free.phase, "active");
  assert.ok(server.count("heartbeat") >= 3, `${server.count("heartbeat")}`);
});

test("whoever looks asks at once, though a frozen tab has the lock in its hands", async () => {
  const { lab, server, tab, other } = await signedIn({ tabs: 2 });
  tab.act();
  lab.latency = 5000;
  await lab.pass(302);
  const [name] = lab.locks.keys();
  lab.latency = 20;
  await lab.pass(10);
  assert.equal(lab.locks.size, 0);
  other.freeze();
  lab.locks.set(name, other);
  tab.show(false);
  lab.sleep(2000);
  server.log.length = 0;
  tab.dispatch("resume"); // not in view yet: it wants the lock
  tab.show(); // and now it needs none
  await lab.pass(0.3);
  assert.equal(tab.phase, "ended");
  assert.equal(server.count("status"), 1);
});

test("a frozen tab is right when it wakes", async () => {
  const { lab, server, tab, other } = await signedIn({ tabs: 2 });
  tab.freeze();
  for (let step = 0; step < 200; step++) {
    other.act();
    await lab.pass(10);
  }
  await tab.thaw();
  tab.show();
  await lab.pass(1.5);
  assert.equal(tab.phase, "active");
  assert.deepEqual(tab.heard.map(([name]) => name).filter((name) => name != "extended"), []);
  tab.act();
  other.freeze();
  tab.freeze();
  await lab.pass(3000);
  server.log.length = 0;
  await tab.thaw();
  await lab.pass(1.5);
  assert.equal(tab.phase, "ended");
  assert.equal(server.count("heartbeat"), 0);
});

for (const lacking of ["locks", "storage", "channels", "all"]) {
  test(`it works without ${lacking}`, async () => {
    const all = lacking == "all";
    const { lab, server, tabs } = await signedIn({
      tabs: 2,
      without: {
        ...((all || lacking == "locks") && { navigator: {} }),
        ...((all || lacking == "storage") && { localStorage: undefined }),
        ...((all || lacking == "channels") && { BroadcastChannel: undefined }),
      },
    });
    for (let step = 0; step < 360; step++) {
      tabs[step % 2].act();
      await lab.pass(10);
    }
    assert.ok(server.count("heartbeat") <= (all ? 24 : 13), `${server.count("heartbeat")}`);
    assert.ok(tabs.every((tab) => tab.phase == "active" && !tab.times("warning")));
    await lab.pass(WARNS + 60);
    assert.ok(tabs.every((tab) => tab.phase == "idle"));
    tabs[0].keeper.extend();
    await lab.pass(1);
    assert.equal(tabs[0].phase, "active");
    if (lacking == "locks" || lacking == "storage") assert.equal(tabs[1].phase, "active");
    tabs[1].show();
    await lab.pass(1);
    assert.equal(tabs[1].phase, "active");
  });
}

for (const when of ["before anybody acted", "before the first heartbeat"]) {
  test(`a storage that is full ${when}: who works is not warned, and nothing is asked in a loop`, async () => {
    const { lab, server, tabs } = await signedIn({ tabs: 2 });
    if (when == "before the first heartbeat") tabs[0].act();
    lab.full = true;
    for (let step = 0; step < 360; step++) {
      tabs[0].act();
      await lab.pass(10);
    }
    assert.equal(tabs[0].times("warning"), 0);
    assert.ok(server.count("heartbeat") >= 11 && server.count("heartbeat") <= 13);
    await lab.pass(1200);
    assert.ok(server.count("heartbeat") <= 14, `${server.count("heartbeat")}`);
  });
}

test("a stale area is told, can be put aside, and is over after a sign-in", async () => {
  const lab = new Lab();
  lab.server.login();
  lab.server.areas["/area/"] = { state: "stale" };
  const tab = await lab.open({ path: "/area/" });
  assert.equal(tab.phase, "stale");
  assert.equal(tab.times("stale"), 1);
  tab.keeper.dismiss();
  await lab.pass(100);
  assert.equal(tab.phase, "active");
  lab.server.areas = {};
  tab.keeper.check();
  await lab.pass(1);
  lab.server.areas["/area/"] = { state: "stale" };
  tab.keeper.check();
  await lab.pass(1);
  assert.equal(tab.phase, "stale");
});

test("limits of another page's area are not ours; its extension is", async () => {
  const lab = new Lab();
  lab.server.login();
  lab.server.areas["/area/"] = { idle_left: 400 };
  const tab = await lab.open({ path: "/" });
  const area = await lab.open({ path: "/area/" });
  await lab.pass(1);
  area.keeper.check();
  await lab.pass(1);
  assert.ok(tab.keeper.status().left > 1790);
  assert.equal(lab.server.count(), 3);
  lab.server.areas = {};
  await lab.pass(WARNS);
  assert.deepEqual([tab.phase, area.phase], ["idle", "idle"]);
  area.keeper.extend();
  await lab.pass(1);
  assert.deepEqual([tab.phase, area.phase], ["active", "active"]);
});

test("hidden tabs ask nothing but near the deadline", async () => {
  const { lab, server, tab } = await signedIn();
  tab.show(false);
  await lab.pass(WARNS - 10);
  assert.equal(server.count(), 1);
  await lab.pass(20);
  assert.equal(server.count(), 2);
  tab.show();
  await lab.pass(1);
  assert.equal(server.count(), 3);
});

test("looking again after long asks, after a moment it does not", async () => {
  const { lab, server, tab } = await signedIn();
  await lab.pass(200);
  tab.show();
  await lab.pass(1);
  assert.equal(server.count(), 1);
  await lab.pass(200);
  tab.show();
  tab.dispatch("focus");
  await lab.pass(1);
  assert.equal(server.count(), 2);
  tab.dispatch("focus", { target: { tagName: "INPUT" } });
  await lab.pass(400);
  tab.dispatch("focus", { target: { tagName: "INPUT" } });
  await lab.pass(1);
  assert.equal(server.count(), 2);
});

test("what was told while the page was made saves the first question", async () => {
  const lab = new Lab();
  lab.server.skew = 0;
  lab.server.login();
  const atLoad = lab.server.judgement();
  const tab = await lab.open({ atLoad });
  assert.equal(tab.phase, "active");
  assert.equal(lab.server.count(), 0);
  await lab.pass(100);
  lab.server.end("revoked");
  const cached = await lab.open({ atLoad });
  assert.equal(cached.phase, "none");
  assert.equal(lab.server.count(), 1);
});

test("a page in the back/forward cache has no channel; back again it asks", async () => {
  const { lab, server, tab } = await signedIn();
  assert.equal(tab.channels.size, 1);
  tab.dispatch("pagehide");
  assert.equal(tab.channels.size, 0);
  await lab.pass(10);
  tab.dispatch("pageshow", { persisted: true });
  await lab.pass(1);
  assert.equal(tab.channels.size, 1);
  assert.equal(server.count("status"), 2);
});

test("visitors are let be, unless they are to be guarded", async () => {
  const lab = new Lab();
  lab.server.login({ signedIn: false });
  const tab = await lab.open();
  const guarded = await lab.open({ anonymous: true });
  assert.deepEqual([tab.phase, guarded.phase], ["none", "active"]);
  tab.act();
  await lab.pass(400);
  assert.equal(lab.server.count("heartbeat"), 0);
  guarded.act();
  await lab.pass(400);
  assert.equal(lab.server.count("heartbeat"), 1);
});

test("a page that never had a session is told of none, but of a sign-in", async () => {
  const lab = new Lab();
  const tab = await lab.open();
  assert.equal(tab.phase, "none");
  await lab.pass(3600);
  assert.equal(lab.server.count(), 1);
  assert.deepEqual(tab.heard, []);
  lab.server.login();
  tab.keeper.check();
  await lab.pass(1);
  assert.deepEqual(tab.heard.map(([name]) => name), ["signed-in"]);
});

test("the application's own answers are heard", async () => {
  const { lab, server, tab } = await signedIn({ options: { loginUrl: "/login" } });
  const { keeper } = tab;
  assert.equal(keeper.heard({ status: 200, redirected: false, url: "https://x.example/a" }), false);
  assert.equal(keeper.heard({ status: 200, redirected: true, url: "https://x.example/b" }), false);
  assert.equal(server.count(), 1);
  assert.equal(keeper.heard({ status: 401, redirected: false, url: "https://x.example/a" }), true);
  await lab.pass(1);
  assert.equal(server.count(), 2);
  server.end("revoked");
  assert.ok(keeper.heard({ status: 200, redirected: true, url: "https://x.example/login?next=a" }));
  await lab.pass(1);
  assert.equal(tab.phase, "ended");
});

test("stopped, it is silent; started again, it goes on", async () => {
  const { lab, server, tab } = await signedIn();
  const stored = JSON.stringify(lab.storage);
  tab.keeper.stop();
  assert.deepEqual(lab.timers.filter((timer) => timer.tab === tab), []);
  tab.act();
  assert.equal(JSON.stringify(lab.storage), stored);
  tab.keeper.check();
  tab.keeper.extend();
  await lab.pass(4000);
  assert.equal(server.count(), 1);
  assert.equal(tab.channels.size, 0);
  tab.keeper.start();
  await lab.pass(1);
  assert.equal(tab.phase, "ended");
});
