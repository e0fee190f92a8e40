"""An hour with five tabs open, in seconds of real time: what reaches the server, and who stays.

Real tabs, locks, channels and input; only time is moved, second by second and alike for all of
them: the pages' clocks and timers by `WARP`, the server's by `TabSite.sleep`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import pytest

from .devtools import Chromium, Tab, all_at_once
from .tab_sites import TabSite, tab_site

IDLE, LEAD, INTERVAL = 1800, 120, 300
"""Seconds: the settings' defaults, and the heartbeat interval that follows from them."""

STEP, STRIDE = 0.9, 5.0
"""Seconds by which time is moved at once while something may be sent, and while nothing is due.
Meanwhile the clocks of the tabs differ by as much, and those of real tabs do not differ by more
than the first."""

WARP = """{
  let moved = 0, asked = 0, last = 0;
  const timers = new Map();
  const now = Date.now, mono = performance.now.bind(performance), fetched = fetch;
  Date.now = () => now() + moved;
  performance.now = () => mono() + moved;
  const timer = (repeat) => (call, after = 0) => {
    timers.set(++last, { call, due: moved + after, every: repeat ? after : 0 });
    return last;
  };
  globalThis.setTimeout = timer(false);
  globalThis.setInterval = timer(true);
  globalThis.clearTimeout = globalThis.clearInterval = (id) => timers.delete(id);
  const turn = () => new Promise((go) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => (port1.close(), go());
    port2.postMessage(0);
  });
  globalThis.fetch = async (...given) => {
    asked++;
    try { return await fetched(...given); } finally { await turn(); asked--; }
  };
  const locks = navigator.locks, request = locks.request.bind(locks);
  locks.request = (name, options, work) => {
    asked++;
    return request(name, options, (lock) => (asked--, work(lock)));
  };
  globalThis.pass = async (ms) => {
    const end = moved + ms;
    for (;;) {
      await turn();
      while (asked) await turn();
      const [id, next] = [...timers].sort((a, b) => a[1].due - b[1].due)[0] ?? [];
      if (!next || next.due > end) break;
      moved = Math.max(moved, next.due);
      if (next.every) next.due += next.every; else timers.delete(id);
      next.call();
    }
    moved = end;
  };
}"""


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Iterator[TabSite]:
    with tab_site(request.node.name.removeprefix("test_").replace("_", "-")[:40], IDLE, 28800) as s:
        yield s


@pytest.fixture
def tabs(browser: Chromium, site: TabSite) -> Iterator[list[Tab]]:
    """Five tabs of one person, who has just signed in."""
    tabs = [browser.tab("about:blank") for _ in range(5)]
    for tab in tabs:
        tab.send("Page.addScriptToEvaluateOnNewDocument", source=WARP)
    tabs[0].go(f"{site.url}/login")
    for tab in tabs:
        tab.go(site.url)
        tab.until("phase()", "active")
    yield tabs
    for tab in tabs:
        tab.close()


class Gone(NamedTuple):
    """Seconds that have gone by, now and at the look before: real ones are among them."""

    now: float
    before: float

    def every(self, seconds: float, first: float = 0.0) -> bool:
        """Whether `first`, or a multiple of `seconds` after it, has gone by since the last look."""
        return (self.now - first) // seconds > (self.before - first) // seconds


def passing(site: TabSite, tabs: list[Tab], seconds: float = 3600) -> Iterator[Gone]:
    """Let time pass in small steps."""
    began = site.clock()
    gone = Gone(0.0, -1.0)
    before: list[float | None] = [None] * 3
    while gone.now < seconds:
        yield gone
        # After an extension, until every tab has heard of it.
        extended = (site.left() or 0) > (before[0] or 0)
        before = [*before[1:], site.left()]
        step = STEP if extended or due(site) else STRIDE
        site.sleep(step)
        all_at_once(tabs, f"pass({1000 * step})")
        gone = Gone(site.clock() - began, gone.now)


def due(site: TabSite) -> bool:
    """Whether a heartbeat, the warning or the end may be due before the next stride is over."""
    left = site.left()
    moments = (IDLE - INTERVAL, 55), (LEAD, 20), (0, 10)
    return left is not None and any(at + 10 > left > at + 10 - span for at, span in moments)


def test_an_hour_of_work(site: TabSite, tabs: list[Tab]) -> None:
    site.asked.clear()
    for gone in passing(site, tabs):
        tab = tabs[int(gone.now // 150) % 5]
        if gone.every(150):
            tab.show()
        if gone.every(20):
            tab.press()
    asked = Counter(each.name for each in site.asked)
    print(f"\nan hour of work in five tabs: {dict(asked)}")
    at = [each.answer["now"] for each in site.beats()]
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert INTERVAL - 1 <= min(gaps) <= max(gaps) <= INTERVAL + 25
    assert asked["heartbeat"] >= 10
    assert asked["status"] <= 3600 / 150
    assert {tab.run("phase()") for tab in tabs} == {"active"}
    assert sum(tab.run("logged('session-warning').length") for tab in tabs) == 0


ACTED = 120
"""Seconds after which somebody leaves: later, by more than the server throttles, than the login."""


def test_an_hour_of_nobody(site: TabSite, tabs: list[Tab]) -> None:
    """Somebody was there and has left; now there are scripts that pretend to be somebody."""
    tabs[0].show()
    for gone in passing(site, tabs, INTERVAL + 2):
        if gone.every(INTERVAL, ACTED):
            tabs[0].press()
    [told] = site.beats()
    assert json.loads(told.body)["idle"] == pytest.approx(INTERVAL - ACTED, abs=10)
    site.asked.clear()
    last = 0.0
    for gone in passing(site, tabs):
        if site.left() is not None:
            last = gone.now
        if gone.every(60):
            all_at_once(tabs, PRETEND)
    asked = Counter(each.name for each in site.asked)
    print(f"\nan hour of nobody in five tabs: {dict(asked)}; the session lived {last:.0f} s")
    assert asked["heartbeat"] == 0
    assert asked.total() <= 4, "one tab asks for all: for the warning and at the end"
    assert last == pytest.approx(ACTED + IDLE - INTERVAL, abs=10)
    assert {tab.run("phase()") for tab in tabs} == {"ended"}
    assert {tab.run("keeper().status().reason") for tab in tabs} == {"idle"}


PRETEND = """
  for (const type of ["keydown", "pointerdown", "wheel", "input"])
    document.body.dispatchEvent(new Event(type, { bubbles: true }));
"""
