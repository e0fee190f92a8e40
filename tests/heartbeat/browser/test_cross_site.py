"""Pages of other sites, in the same browser: they extend, end and learn nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.heartbeat.sites import PREFIX, Site

from .conftest import Meet
from .elsewhere import ATTEMPTS, TRY, elsewhere
from .people import Tab, later


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with elsewhere() as port:
        yield port


def refused(tab: Tab, origin: str, name: str) -> None:
    """Try everything from a tab of that origin: nothing was read, and nothing has changed."""
    person, site = tab.person, tab.person.site
    before = site.sessions(name)
    cookies = person.context.cookies()
    site.advance(400)  # enough for an extension to be worth writing
    seen = len(site.requests(PREFIX))
    page = person.context.new_page()
    page.goto(origin)
    assert page.evaluate(TRY, [person.url, ATTEMPTS]) == dict.fromkeys(ATTEMPTS, "")
    asked = site.requests(PREFIX)[seen:]
    assert len(asked) >= len(ATTEMPTS) - 1, asked
    for each in asked:
        if each["path"] == f"{PREFIX}client.js":
            continue
        allowed = (403, 405) if "sec-fetch-site" in each["headers"] else (200, 403, 405)
        assert each["status"] in allowed, each
    assert [each for each in asked if each["method"] == "POST" and each["status"] != 403] == []
    assert site.sessions(name) == before
    assert person.context.cookies() == cookies
    assert tab.status()["phase"] == "active"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["same-site", "cross-site"])
def test_another_origin_is_refused(site: Site, meet: Meet, name: str, port: int, host: str) -> None:
    """Another port of the same host is the same site: our cookie does come along."""
    tab = meet(site).sign_in(name)
    refused(tab, f"http://{host}:{port}/", name)
    posts = [each for each in site.requests(PREFIX, "POST") if "origin" in each["headers"]]
    assert any("cookie" in each["headers"] for each in posts) or host == "localhost"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Where browsers say nothing of `Sec-Fetch-Site`, and have no locks: a name without TLS."""
    with Site("flask", tmp_path_factory.mktemp("plain"), cookie_secure=False) as site:
        yield site


@pytest.mark.parametrize("host", ["shop.test", "evil.shop.test", "evil.test"])
def test_without_tls_the_origin_decides(
    plain: Site, meet: Meet, name: str, port: int, host: str
) -> None:
    tab = meet(plain, f"http://shop.test:{plain.port}").sign_in(name)
    assert "sec-fetch-site" not in plain.requests("/")[-1]["headers"]
    refused(tab, f"http://{host}:{port}/", name)


def test_without_tls_the_keeper_does_without_locks(plain: Site, meet: Meet, name: str) -> None:
    ada = meet(plain, f"http://shop.test:{plain.port}")
    tab = ada.sign_in(name)
    assert tab.page.evaluate("navigator.locks === undefined")
    before = plain.pings()
    later(200, ada)
    tab.type("a")
    later(101, ada)
    tab.page.wait_for_function("() => heard.some(([name]) => name == 'extended')")
    assert plain.pings() == before + 1
