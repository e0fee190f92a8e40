"""Tabs nobody looks at, on each framework, directly and through each proxy, all at once.

What `test_hidden_tabs` shows against a bare application in real time. Here only the real waits are
real: minutes are jumps of a page's wall clock, as after a sleep, together with its site's clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

import pytest

from tests.browser import required
from tests.servers import Servers

from .devtools import NEVER_THROTTLES, Chromium, Tab, chromium
from .fronts import FRONTS
from .sites import KINDS, PREFIX, Site

IDLE, LEAD, INTERVAL = 1800.0, 120.0, 300.0

OPTIONS = ("--host-resolver-rules=MAP *.example 127.0.0.1", "--ignore-certificate-errors")

# Where `looking` is false, timers that come again and again do nothing.
WATCH = """
globalThis.log = [];
globalThis.looking = true;
const every = setInterval;
globalThis.setInterval = (look, ...more) => every(() => looking && look(), ...more);
const note = (type, detail) => log.push({ type, at: performance.now(), ...detail });
for (const type of ["warning", "ended", "extended"])
  addEventListener("session-" + type, (event) => note(type, event.detail));
document.addEventListener("resume", () => note("resume"));
globalThis.logged = (type) => log.filter((each) => each.type == type);
globalThis.keeper = () => document.querySelector("session-keeper").keeper;
globalThis.jump = (seconds) => {
  const real = Date.now;
  Date.now = () => real() + 1000 * seconds;
};
"""

SIGN_IN = """
fetch("/login", { method: "POST", body: new URLSearchParams({ name: "ada" }) }).then((r) => r.url)
"""

HOLD = """void navigator.locks.request(
  "session-keeper:" + new URL("/_session/", location),
  () => new Promise((go) => globalThis.release = go))"""


@dataclass
class Place:
    """A person's two tabs at one site, by one way."""

    name: str
    site: Site
    url: str
    tab: Tab
    other: Tab

    def beats(self) -> int:
        """Heartbeats that came by this way."""
        host = self.url.partition("//")[2]
        asked = self.site.requests(f"{PREFIX}heartbeat")
        return sum(each["headers"]["host"] == host for each in asked)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Site]]:
    with ExitStack() as stack:
        folders = [(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS]
        yield [stack.enter_context(Site(kind, folder)) for kind, folder in folders]


@pytest.fixture(scope="module")
def browser(servers: Servers) -> Iterator[Chromium]:
    with chromium(required(servers), NEVER_THROTTLES, *OPTIONS) as browser:
        yield browser


@pytest.fixture(scope="module")
def places(browser: Chromium, sites: list[Site], servers: Servers) -> Iterator[list[Place]]:
    """Everybody is signed in everywhere, and no tab but an empty one is in front."""
    proxies = []
    found = []
    for site in sites:
        ways = {"direct": f"http://{site.kind}.localhost:{site.port}"}
        for name, front in FRONTS.items():
            proxies.append(servers.start(front(site.port)))
            ways[name] = f"https://{site.kind}-{name}.example:{proxies[-1].port}"
        for name, url in ways.items():
            tabs = [_opened(browser, url, first) for first in (True, False)]
            found.append(Place(f"{site.kind}, {name}", site, url, *tabs))
    yield found
    for each in proxies:
        each.remove()


def _opened(browser: Chromium, url: str, first: bool) -> Tab:
    tab = browser.tab("about:blank")
    tab.send("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
    if first:
        tab.go(f"{url}/login")
        assert tab.run(SIGN_IN) == f"{url}/"
    tab.go(url)
    tab.until("keeper().status().phase", "active")
    return tab


@pytest.fixture
def front(browser: Chromium) -> Iterator[Tab]:
    """An empty tab, in front of all others."""
    front = browser.tab("about:blank")
    yield front
    front.close()


def later(places: list[Place], seconds: float) -> None:
    """Let time go by everywhere, as if the machine had slept."""
    for site in {id(each.site): each.site for each in places}.values():
        site.advance(seconds)
    for place in places:
        for tab in (place.tab, place.other):
            tab.run(f"jump({seconds})")


def test_the_lock_is_in_frozen_hands_and_another_tab_is_used(
    places: list[Place], front: Tab
) -> None:
    before = [place.beats() for place in places]
    for place in places:
        place.other.run(HOLD)
        place.other.until("navigator.locks.query().then((all) => all.held.length)", 1)
        place.other.freeze()
    later(places, INTERVAL + 1)
    for place in places:
        place.tab.show()
        place.tab.press()
    front.show()
    for place in places:
        place.tab.until("logged('extended').length", 1)
    assert [place.beats() - was for place, was in zip(places, before, strict=True)] == [1] * 12
    assert min(place.tab.run("keeper().status().left") for place in places) > IDLE - 30
    for place in places:
        assert place.tab.run("logged('warning').length") == 0
        place.other.show()
        place.other.until("keeper().status().phase", "active")
        place.other.run("release()")


def test_a_hidden_tab_warns_in_time(places: list[Place], front: Tab) -> None:
    """One that nobody has used since the last heartbeat."""
    left = min(place.tab.run("keeper().status().left") for place in places)
    later(places, left - LEAD - 3)
    late = {}
    for place in places:
        place.tab.until("logged('warning').length", 1)
        assert place.tab.run("document.visibilityState") == "hidden"
        late[place.name] = LEAD - place.tab.run("logged('warning')[0].left")
    print("\nhidden:", {name: round(each, 2) for name, each in late.items()})
    assert max(late.values()) <= 4  # a throttled one would be a minute late
    assert median(late.values()) <= 2
    assert min(late.values()) >= -0.2


def test_a_frozen_tab_says_at_once_that_the_session_is_over(
    places: list[Place], front: Tab
) -> None:
    """Because it was woken: no timer of the page's may have a part in it."""
    for place in places:
        place.tab.show()
        place.tab.run("keeper().extend()")
        place.tab.until("keeper().status().phase", "active")
        place.tab.press()
    front.show()
    for place in places:
        for tab in (place.other, place.tab):
            tab.until("document.visibilityState", "hidden")
            tab.freeze()
    before = [place.beats() for place in places]
    later(places, IDLE)
    time.sleep(1.1)
    late = {}
    for place in places:
        assert place.tab.run("keeper().status().phase") == "active"
        place.tab.run("looking = false")
        place.tab.show()
        place.tab.until("keeper().status().phase", "ended")
        assert place.tab.run("keeper().status().reason") == "idle"
        late[place.name] = place.tab.run("logged('ended')[0].at - logged('resume')[0].at") / 1000
    print("\nfrozen:", {name: round(each, 3) for name, each in late.items()})
    assert median(late.values()) < 1
    assert [place.beats() for place in places] == before
    for site in {id(each.site): each.site for each in places}.values():
        assert site.sessions("ada") == []
