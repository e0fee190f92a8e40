"""Nobody gets another's page or cookie out of a shared cache: a real nginx stands in front.

It keeps whatever the headers let it keep, in three tempers (see `nginx`), under the path alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from openclaw_middleware.runtime import Runtime
from tests.servers import Servers

from .browsing import Browser, asgi_server, wsgi_server
from .ledger import TRIALS, Ledger
from .nginx import Nginx
from .pages import flask_app, starlette_app
from .places import Place, rotate_always

TEMPERS = ("polite", "greedy", "rude")


class Site:
    """One application behind a cache."""

    def __init__(self, kind: str, url: str) -> None:
        self.kind, self.url = kind, url
        self.browsers: list[Browser] = []

    def browser(self) -> Browser:
        self.browsers.append(Browser(self.url))
        return self.browsers[-1]


@pytest.fixture(scope="module", params=["starlette", "flask"])
def site(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Site]:
    runtime = Runtime(Place("memory", "memory://", "caches").settings())
    rotate_always(runtime)
    with ExitStack() as stack:
        if request.param == "flask":
            port = stack.enter_context(wsgi_server(flask_app(runtime)))
        else:
            port = stack.enter_context(asgi_server(starlette_app(runtime)))
        cache = servers.start(Nginx(port))
        stack.callback(cache.remove)
        made = Site(request.param, cache.url)
        yield made
        for browser in made.browsers:
            browser.close()


def hit(answer: Any) -> bool:
    return answer.all("x-cache") == ["HIT"]


def signed_in(site: Site, temper: str) -> list[tuple[str, Browser]]:
    """Some visitors who have signed in through the cache, each with a cookie of their own."""
    found = []
    for n in range(TRIALS):
        name, browser = f"{temper}{n}", site.browser()
        assert browser.ask(f"/{temper}/login/{name}") == name
        found.append((name, browser))
    assert len({browser.session_id for _, browser in found}) == TRIALS
    return found


@pytest.mark.parametrize("temper", TEMPERS)
def test_a_public_page_is_cached_for_everybody(site: Site, temper: str, ledger: Ledger) -> None:
    """A page that leaves the session alone comes out of the cache, with a cookie and without."""
    visitors = signed_in(site, temper)
    first = site.browser().get(f"/{temper}/public/page")
    assert not first.all("vary")
    with ledger.trials("public pages stay cacheable", site.kind) as trials:
        for _, browser in [*visitors, ("", site.browser())]:
            answer = browser.get(f"/{temper}/public/page")
            trials.check(hit(answer) and not answer.all("set-cookie"), answer)


@pytest.mark.parametrize("page", ["me", "shared"])
@pytest.mark.parametrize("temper", TEMPERS)
def test_everybody_sees_their_own_page(site: Site, temper: str, page: str, ledger: Ledger) -> None:
    """With data of the session on it, and even with `Cache-Control: public` set by the app."""
    visitors = signed_in(site, temper)
    with ledger.trials("caches keep visitors apart", site.kind) as trials:
        for _ in range(3):
            for name, browser in visitors:
                before = browser.session_id
                answer = browser.get(f"/{temper}/{page}/page")
                trials.check(answer.body == f'"{name}"'.encode(), (name, answer))
                assert browser.session_id == before
        stranger = site.browser()
        answer = stranger.get(f"/{temper}/{page}/page")
        trials.check(answer.body == b'""' and stranger.cookie is None, answer)


@pytest.mark.parametrize(("page", "said"), [("begin", "no-store"), ("pushed", "private")])
@pytest.mark.parametrize("temper", TEMPERS)
def test_a_page_that_begins_a_session_is_nobody_elses(
    site: Site, temper: str, page: str, said: str, ledger: Ledger
) -> None:
    """The app lets caches keep it, all of them or nginx, but the answer carries a cookie: no cache
    keeps it."""
    with ledger.trials("cookies never come from a cache", site.kind) as trials:
        seen = set()
        for _ in range(TRIALS):
            browser = site.browser()
            answer = browser.get(f"/{temper}/{page}/{temper}page")
            seen.add(browser.session_id)
            trials.check(
                not hit(answer) and len(answer.ours) == 1 and answer.all("cache-control") == [said],
                answer,
            )
        trials.check(len(seen) == TRIALS, seen)


@pytest.mark.parametrize("temper", TEMPERS)
def test_rotated_cookies_are_not_kept(site: Site, temper: str, ledger: Ledger) -> None:
    """Secrets are renewed on pages behind the cache; each goes to its own visitor, on a page that
    is not for sharing, and nobody is logged out by it."""
    visitors = signed_in(site, temper)
    with ledger.trials("rotation behind a cache", site.kind) as trials:
        for number in range(3):
            for name, browser in visitors:
                before, cookie = browser.session_id, browser.cookie
                answer = browser.get(f"/{temper}/shared/rotating")
                postponed = not answer.ours
                trials.check(postponed and answer.body == f'"{name}"'.encode(), answer)
                answer = browser.get(f"/{temper}/me/{name}-{number}")
                trials.check(
                    answer.body == f'"{name}"'.encode()
                    and browser.session_id == before
                    and len(answer.ours) == 1
                    and browser.cookie != cookie
                    and answer.all("cache-control") == ["no-store"],
                    answer,
                )
