"""Through nginx, HAProxy and Apache, as the documentation sets them up, on each framework.

As others set them up: `test_proxies_in_the_way`.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.heartbeat.fronts import FRONTS
from tests.heartbeat.sites import PREFIX, Site

from .conftest import Meet, Stand
from .elsewhere import elsewhere
from .people import later, quiet
from .test_cross_site import refused

IDLE, LEAD = 1800.0, 120.0
PRETEND = """() => {
    for (const type of ["pointerdown", "keydown", "click", "input"])
        document.body.dispatchEvent(new Event(type, { bubbles: true }));
    document.body.click();
}"""


def away(site: Site) -> None:
    """The application cannot be reached; of what the proxy then says, no framework knows."""
    if site.kind == "starlette":
        site.stop()
    else:
        site.answer(f"{PREFIX}heartbeat", 500)


def back(site: Site) -> None:
    """It can again."""
    site.mend()


@pytest.mark.parametrize("front", FRONTS)
class TestAsPublished:
    def test_a_visit(self, site: Site, stand: Stand, meet: Meet, name: str, front: str) -> None:
        """What is shown directly elsewhere, in one go: warned in both tabs although scripts
        pretend, extended in both as soon as the server can confirm it, and idle in the end."""
        proxy = stand(FRONTS[front](site.port))
        ada = meet(site, proxy.url, extra_http_headers={"x-forwarded-for": "192.0.2.1"})
        tab = ada.sign_in(name)
        other = ada.tab()
        other.settled("active")
        assert ada.context.cookies()[0]["secure"]
        seen = site.requests("/")[-1]["headers"]
        assert (seen["host"], seen["x-forwarded-proto"]) == (proxy.url[8:], "https")
        assert seen["x-forwarded-for"] == "127.0.0.1"
        before = site.pings()
        tab.page.evaluate(PRETEND)
        later(IDLE - LEAD - 60, ada)
        tab.page.evaluate(PRETEND)
        field = tab.page.get_by_label("Your text")
        field.focus()
        later(61, ada)
        expect(other.dialog).to_be_visible()
        assert site.pings() == before
        assert tab.violations() == []
        away(site)
        tab.page.keyboard.press("Escape")
        expect(tab.dialog).to_contain_text("No connection")
        back(site)
        later(10, ada)
        expect(other.dialog).to_be_hidden()
        assert other.behind(tab, "extended") < 1
        expect(field).to_be_focused()
        ada.context.set_offline(True)
        later(IDLE - LEAD + 1, ada)
        later(1, ada)  # one of them asks at a time
        for each in (tab, other):
            expect(each.dialog).to_contain_text("No connection")
        tab.press("Stay signed in")
        expect(tab.dialog).to_contain_text("No connection")
        ada.context.set_offline(False)
        for each in (tab, other):  # each tries until it has reached the server itself
            assert each.settled("active", offline=False)["left"] > IDLE - 60
            assert each.heard("ended") == []
        quiet(ada)
        before = site.pings()
        later(3600, ada)
        assert tab.settled("ended")["reason"] == "idle"
        assert site.pings() == before

    def test_other_sites(self, site: Site, stand: Stand, meet: Meet, name: str, front: str) -> None:
        proxy = stand(FRONTS[front](site.port))
        tab = meet(site, proxy.url).sign_in(name)
        with elsewhere() as port:
            refused(tab, f"http://evil.example:{port}/", name)
