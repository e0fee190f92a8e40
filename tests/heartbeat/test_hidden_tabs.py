"""The client in tabs nobody looks at: hidden, throttled to a timer a minute, frozen, put aside.

Real Chromium over the raw protocol, a real server, real time. One browser for all, because a
throttled tab takes more than a minute: it lies in the background while the other tests run, and
is judged by the last one. So the order of the tests matters, and the limits are seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import pytest

from .devtools import GRACE, Chromium, Tab
from .tab_sites import TabSite, tab_site

BRIEF = 6.0
"""Seconds of an idle limit; its warning comes at half of it."""

LEAD = 120.0
"""Seconds between warning and end with the settings' defaults."""

MINUTE = 60.0
"""Chromium lets a throttled tab's timers run when the monotonic clock is a multiple of this."""

SOON = 5.0
"""Seconds a busy machine may take for what is done at once; `looking` shows what it was done by."""

COUNTER = """
  globalThis.ticks = [];
  setInterval(() => ticks.push(performance.now() / 1000), 1000);
"""


class Background:
    """The tabs that were opened first and are left alone, all hidden.

    Attributes:
        due: when the throttled tabs should warn, and `may`: when their timers run next. Both by
            the monotonic clock.
    """

    def __init__(self, browser: Chromium, site: Callable[..., TabSite]) -> None:
        sites = [site(name, 1800) for name in ("counter", "hidden", "throttled", "shown")]
        self.counter = browser.tab(sites[0].url)
        self.counter.run(COUNTER)
        self.hidden = self._tab(browser, sites[1], time.monotonic() + 5)
        self.due = time.monotonic() + GRACE + 5
        if self.due % MINUTE > MINUTE - 7:
            self.due += 9  # else they would warn before somebody has shown one
        self.may = self.due - self.due % MINUTE + MINUTE
        self.throttled = self._tab(browser, sites[2], self.due)
        self.shown = self._tab(browser, sites[3], self.due)
        self.front = browser.tab("about:blank")

    def _tab(self, browser: Chromium, site: TabSite, due: float) -> Tab:
        tab = browser.tab(f"{site.url}/login?left={LEAD + due - time.monotonic()}")
        tab.until("phase()", "active")
        return tab

    def wait(self, instant: float) -> None:
        """Wait until the monotonic clock shows this."""
        time.sleep(max(0.0, instant - time.monotonic()))


@pytest.fixture(scope="module")
def site() -> Iterator[Callable[..., TabSite]]:
    """Starts a site of the given name and limits."""
    with ExitStack() as stack:
        yield lambda *given: stack.enter_context(tab_site(*given))


@pytest.fixture(scope="module", autouse=True)
def background(browser: Chromium, site: Callable[..., TabSite]) -> Background:
    return Background(browser, site)


@pytest.fixture(scope="module", autouse=True)
def stranded(
    browser: Chromium, site: Callable[..., TabSite], background: Background
) -> tuple[Tab, TabSite, float]:
    """A tab that was frozen while a question was on its way, its site, and when that was."""
    place = site("stranded", 1800)
    tab = signed_in(browser, place)
    place.slow["status"] = 1
    tab.run("keeper().check()")
    background.front.show()
    tab.freeze()
    frozen = time.monotonic()
    assert place.asked[-1].at < time.time() - 0.01
    return tab, place, frozen


def signed_in(browser: Chromium, site: TabSite) -> Tab:
    """A tab of a person who has just signed in, in front."""
    tab = browser.tab(f"{site.url}/login")
    tab.go(site.url)
    tab.until("phase()", "active")
    return tab


def error(tab: Tab, wanted: float) -> float:
    """Seconds by which the warning was late: `wanted` before the end, by the page's own events."""
    [warned] = tab.run("logged('session-warning')")
    return wanted - float(warned["left"])


def after(tab: Tab, cause: str, effect: str) -> float:
    """Seconds from the last event of one kind to the first of another after it."""
    caused: float = tab.run(f"logged('{cause}').at(-1).at")
    effects: list[float] = tab.run(f"logged('{effect}').map((each) => each.at)")
    return min(each - caused for each in effects if each >= caused) / 1000


# -- that the tool shows what it is for


def test_a_tab_in_the_background_is_hidden_and_can_be_frozen(
    browser: Chromium, background: Background
) -> None:
    tab, counter = background.front, background.counter
    assert tab.run("document.visibilityState") == "visible"
    assert counter.run("document.visibilityState") == "hidden"
    frozen = browser.tab(counter.run("location.href"))
    frozen.run(COUNTER)
    frozen.until("ticks.length", 1)
    tab.show()
    frozen.freeze()
    before = frozen.run("ticks.length")
    time.sleep(2.5)
    assert frozen.run("ticks.length") == before
    assert frozen.run("log.at(-1).type") == "freeze"
    frozen.thaw()
    frozen.until(f"ticks.length > {before}")
    assert [each["type"] for each in frozen.run("log")][-2:] == ["freeze", "resume"]
    frozen.close()


# -- deadlines


def test_a_hidden_tab_warns_in_time(background: Background) -> None:
    """Before the browser throttles it: its timers run once a second."""
    background.hidden.until("logged('session-warning').length", 1)
    assert background.hidden.run("document.visibilityState") == "hidden"
    late = error(background.hidden, LEAD)
    print(f"\nhidden: the warning was {late:.3f} s late")
    assert -0.1 <= late <= 3


def test_a_throttled_tab_warns_at_once_when_it_is_shown(background: Background) -> None:
    tab = background.shown
    background.wait(background.due + 2)
    assert tab.run("phase()") == "active", "it may not run, and nobody has looked at it"
    tab.run("looking = false")
    tab.show()
    tab.until("phase()", "warning")
    late = after(tab, "visibilitychange", "session-warning")
    print(f"\nthrottled, then shown: warned {late:.3f} s after")
    assert late < SOON
    background.front.show()


def test_a_frozen_tab_says_at_once_that_the_session_is_over(
    browser: Chromium, site: Callable[..., TabSite], background: Background
) -> None:
    place = site("frozen", BRIEF, 3600, 60)
    tab = signed_in(browser, place)
    tab.press()  # too early for a heartbeat
    background.front.show()
    tab.freeze()
    wait_for(lambda: place.left() is None)
    assert tab.run("phase()") == "active"
    tab.run("looking = false")
    tab.show()
    assert tab.run("logged('resume').length") == 1
    tab.until("phase()", "ended")
    late = after(tab, "resume", "session-ended")
    print(f"\nfrozen past the end, then shown: told {late:.3f} s after")
    assert late < SOON
    assert tab.run("keeper().status().reason") == "idle"
    assert "not been active" in tab.run(TEXT)
    tab.run("looking = true")
    time.sleep(1.5)
    assert place.beats() == []
    assert place.left() is None
    assert tab.console() == []
    tab.close()


TEXT = "document.querySelector('session-keeper').shadowRoot.querySelector('#text').textContent"


def test_a_frozen_tab_warns_at_once_when_it_wakes(
    browser: Chromium, site: Callable[..., TabSite], background: Background
) -> None:
    tab = browser.tab(f"{site('woken', 1800).url}/login?left={LEAD + 2}")
    tab.until("phase()", "active")
    background.front.show()
    tab.freeze()
    time.sleep(3.5)
    tab.run("looking = false")
    tab.show()
    tab.until("phase()", "warning")
    late = after(tab, "resume", "session-warning")
    print(f"\nfrozen, then shown: warned {late:.3f} s after")
    assert late < SOON
    tab.close()


# -- several tabs


def test_the_tab_that_beat_last_is_frozen_with_the_lock_in_its_hands(
    browser: Chromium, site: Callable[..., TabSite]
) -> None:
    place = site("locked", 12)
    first, second = signed_in(browser, place), browser.tab(place.url)
    second.until("phase()", "active")
    first.show()
    second.freeze()  # else it might be the one that takes the lock
    place.slow["heartbeat"] = 30
    first.press()
    first.until(f"{LOCKS}.then((all) => all.held.length)", 1)
    second.show()
    first.freeze()
    place.slow.clear()
    began = time.time()
    while time.time() < began + 13:
        second.press()
        time.sleep(0.5)
    assert second.run(f"{LOCKS}.then((all) => all.held.length)") == 1
    assert second.run("phase()") == "active"
    left = place.left()
    print(f"\na frozen tab held the lock: {len(place.beats(began))} beats, {left} s left of 12")
    assert left is not None
    first.show()
    first.until("phase()", "active")
    first.close()
    second.close()


LOCKS = "navigator.locks.query()"


def test_five_tabs_send_one_heartbeat_in_each_interval(
    browser: Chromium, site: Callable[..., TabSite]
) -> None:
    place = site("five", 18)
    interval = 3.0
    tabs = [signed_in(browser, place), *(browser.tab(place.url) for _ in range(4))]
    began = time.time()
    while len(place.beats()) < 4:
        assert time.time() < began + 10 * interval
        for tab in tabs:
            tab.show()
            tab.press()
            time.sleep(0.1)
    beats = [each.at for each in place.beats()]
    statuses = [each for each in place.asked if each.name == "status"]
    gaps = [later - earlier for earlier, later in pairwise(beats)]
    print(f"\nfive tabs: {len(beats)} beats, gaps {gaps}, {len(statuses)} status")
    assert min(gaps) > interval - 0.2
    assert {tab.run("phase()") for tab in tabs} == {"active"}
    for tab in tabs:
        tab.close()


def test_an_answer_that_lay_in_a_frozen_tab_is_not_news(
    stranded: tuple[Tab, TabSite, float], background: Background
) -> None:
    """It came while the tab was frozen: what it says was true when it was asked for."""
    tab, place, frozen = stranded
    assert place.asked[-1].answer["state"] == "active"
    background.wait(frozen + 11)
    tab.show()
    for _ in range(3):
        tab.until(f"Math.abs(keeper().status().left - {place.left()}) < 1", patience=5)
        time.sleep(0.5)
    tab.close()


# -- the back button, and clocks


def test_a_page_is_put_aside_and_comes_back(
    browser: Chromium, site: Callable[..., TabSite]
) -> None:
    place = site("aside", 1800)
    tab = signed_in(browser, place)
    tab.go(f"{place.url}/another")
    other = browser.tab(place.url)
    other.until("phase()", "active")
    tab.show()
    asked = len(place.asked)
    tab.back()
    tab.until("logged('pageshow').at(-1).persisted")
    assert tab.heard("Page.backForwardCacheNotUsed") == []
    wait_for(lambda: len(place.asked) > asked)
    assert place.asked[-1].name == "status"
    # Its channel is open again: what another tab says is known here.
    other.run("keeper().logout()")
    tab.until("phase()", "ended")
    assert tab.console() == []
    tab.close()
    other.close()


def test_a_page_that_was_put_aside_hears_that_the_session_ended_meanwhile(
    browser: Chromium, site: Callable[..., TabSite]
) -> None:
    place = site("gone", 1800)
    tab = signed_in(browser, place)
    tab.run("looking = false")
    tab.go("about:blank")
    other = browser.tab(place.url)
    other.until("phase()", "active")
    other.run("keeper().logout()")
    tab.show()
    tab.back()
    tab.until("logged('pageshow').at(-1).persisted")
    tab.until("phase()", "ended")
    late = after(tab, "pageshow", "session-ended")
    print(f"\nback to a page whose session had ended: told after {late:.3f} s")
    assert late < SOON
    tab.close()
    other.close()


JUMP = "{ const real = Date.now; Date.now = () => real() + 600_000; }"
"""What a page sees after the machine slept: the wall clock has gone on, the monotonic one not."""


def test_after_a_sleep_the_server_is_asked_and_believed(
    browser: Chromium, site: Callable[..., TabSite]
) -> None:
    """Here it says that no time has gone by: somebody has set the clock."""
    place = site("slept", 1800)
    tab = signed_in(browser, place)
    asked = len(place.asked)
    tab.run(JUMP)
    wait_for(lambda: len(place.asked) > asked)
    assert place.asked[-1].name == "status"
    tab.until("keeper().status().left > 1700")
    assert tab.run("logged('session-ended').length") == 0
    tab.close()


def test_after_a_long_sleep_the_session_is_over(
    browser: Chromium, site: Callable[..., TabSite], background: Background
) -> None:
    place = site("overslept", 300, 3600, 60)
    tab = signed_in(browser, place)
    tab.press()  # too early for a heartbeat
    place.sleep(600)
    tab.run(JUMP)
    tab.until("phase()", "ended")
    assert tab.run("keeper().status().reason") == "idle"
    assert place.beats() == []
    tab.close()


# -- what the background was waiting for


def test_a_throttled_tab_warns_when_its_timers_may_run(background: Background) -> None:
    tab = background.throttled
    background.wait(background.may)
    tab.until("logged('session-warning').length", 1)
    assert tab.run("document.visibilityState") == "hidden"
    late = error(tab, LEAD)
    wanted = background.may - background.due
    print(f"\nthrottled: the warning was {late:.1f} s late; its timers could run at {wanted:.1f} s")
    assert wanted - 2 <= late <= wanted + 2


def test_the_background_was_throttled(background: Background) -> None:
    """Else the tests above prove nothing."""
    background.wait(background.may + 1)
    ticks = background.counter.run("[...ticks, performance.now() / 1000]")
    gaps = [later - earlier for earlier, later in pairwise(ticks)]
    print(f"\na timer of one second, hidden: {len(ticks) - 1} ticks, longest gap {max(gaps):.1f} s")
    assert max(gaps) > background.may - background.due - 2


def wait_for(condition: Callable[[], Any]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
