"""The single-page example in a real browser: its own warning, its area, its unsaved words.

Browser and server live on one clock that the test moves; it runs on with the real time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from examples.spa_app import WANTED, create_app
from openclaw_middleware import SessionSettings
from openclaw_middleware.testing.clients import set_clock
from tests.live import Live

IDLE = 1800


class Site(Live):
    """The application, its clock ahead by what the test says."""

    def __init__(self) -> None:
        self.ahead = 0.0
        settings = SessionSettings.for_tests(**WANTED)
        self.runtime = set_clock(settings, lambda: time.time() + self.ahead)
        super().__init__(create_app(settings))

    def later(self, page: Page, seconds: float) -> None:
        """Let time pass on both sides; not under a request, which would count as activity then."""
        self.settle()
        self.ahead += seconds
        page.clock.fast_forward(int(seconds * 1000))


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    with site:
        yield site


class TestInTheBrowser:
    @pytest.fixture
    def page(self, chromium: Browser, site: Site) -> Iterator[Page]:
        context = chromium.new_context()
        page = context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.clock.install()
        page.goto(site.url)
        sign_in(page)
        expect(page.locator("#who output")).to_have_text("ada")
        yield page
        context.close()
        assert wrong == []

    def test_it_warns_and_stays(self, page: Page, site: Site) -> None:
        site.later(page, IDLE - 60)
        expect(page.locator("#warning")).to_be_visible()
        page.click("#stay")
        expect(page.locator("#warning")).to_be_hidden()
        site.later(page, IDLE - 200)
        expect(page.locator("#who output")).to_have_text("ada")

    def test_what_was_typed_outlives_the_session(self, page: Page, site: Site) -> None:
        page.fill("#text", "not kept yet")
        site.later(page, IDLE + 60)
        expect(page.locator("#why")).to_have_text("You were away for a while.")
        expect(page.locator("#note")).to_be_hidden()
        sign_in(page)
        expect(page.locator("#text")).to_be_visible()
        assert page.input_value("#text") == "not kept yet"
        page.get_by_role("button", name="Keep it").click()
        expect(page.locator("#note output")).to_have_text("Kept.")

    def test_the_area_asks_and_the_rest_goes_on(self, page: Page, site: Site) -> None:
        page.get_by_role("link", name="Keys").click()
        expect(page.locator("#keys")).to_contain_text("bicycle")
        site.later(page, 301)
        expect(page.locator("#why")).to_have_text("Sign in again to see the keys.")
        expect(page.locator("#keys")).to_be_hidden()
        page.get_by_role("link", name="Note").click()
        expect(page.locator("#note")).to_be_visible()
        expect(page.locator("#who output")).to_have_text("ada")

    def test_a_fresh_sign_in_opens_the_area(self, page: Page, site: Site) -> None:
        page.get_by_role("link", name="Keys").click()
        site.later(page, 601)
        expect(page.locator("#why")).to_have_text("Sign in again to see the keys.")
        sign_in(page)
        expect(page.locator("#keys")).to_contain_text("house of ada")
        expect(page.locator("#sign-in")).to_be_hidden()

    def test_signing_out(self, page: Page, site: Site) -> None:
        page.click("#sign-out")
        expect(page.locator("#why")).to_have_text("You have signed out.")
        assert page.evaluate("fetch('/me').then((answer) => answer.json())") == {"user": None}


def sign_in(page: Page) -> None:
    page.fill("[name=name]", "ada")
    page.fill("[name=password]", "open sesame")
    page.click("#sign-in button")
