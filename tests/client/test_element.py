"""`<session-keeper>` in a real browser, under a strict policy, in front of a real server.

The browser's clock and the server's are moved together; both go on with the real time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests import browser
from tests.heartbeat.browser.people import WATCH
from tests.heartbeat.sites import PREFIX, Site
from tests.servers import Servers

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
LANGUAGES = {
    "en": ("Stay signed in", "2 minutes"),
    "de": ("Angemeldet bleiben", "2 Minuten"),
    "fr": ("Rester connecté", "2 minutes"),
    "es": ("Seguir conectado", "2 minutos"),
    "zh": ("保持登录", "2分钟"),
    "ar": ("البقاء مسجّلًا", "دقيقتان"),
}
WARNS = 1681.0


@pytest.fixture(scope="module")
def chromium(servers: Servers) -> Iterator[Browser]:
    with browser.chromium(servers) as started:
        yield started


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    # A busy machine is no outage.
    policies = {"brief": [1200.0, 1200.0]}
    with Site("starlette", folder, policies=policies, store_timeout=20.0) as site:
        yield site


@pytest.fixture
def site(served: Site) -> Iterator[Site]:
    """The site; whatever was done to it is undone, and its policy was never violated."""
    yield served
    for path in ("heartbeat", "status", "logout"):
        served.answer(PREFIX + path, None)
    assert served.requests("/csp") == []


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    made = chromium.new_context()
    made.set_default_timeout(10_000)
    made.clock.install()
    made.add_init_script(WATCH)
    yield made
    made.close()


class Visit:
    """Somebody signed in, in one tab."""

    def __init__(self, context: BrowserContext, site: Site, policy: str = "", **attributes: str):
        self.context, self.site = context, site
        self.page: Page = context.new_page()
        self.page.goto(f"{site.url}/login")
        data = {"name": "ada", **({"policy": policy} if policy else {})}
        assert context.request.post(f"{site.url}/login", form=data, max_redirects=0).status == 303
        self.open(**attributes)

    def open(self, path: str = "/", **attributes: str) -> None:
        told = {name.replace("_", "-"): value for name, value in attributes.items()}
        self.page.goto(f"{self.site.url}{path}?{urlencode(told)}")
        self.settled("active", "stale")

    def settled(self, *phases: str) -> None:
        self.page.wait_for_function(
            "phases => phases.includes("
            "document.querySelector('session-keeper').keeper?.status().phase)",
            arg=phases,
        )

    def later(self, seconds: float) -> None:
        """Let time go by here and there, not between a question and its answer; what was due
        happens once."""
        self.quiet()
        self.site.advance(seconds)
        self.context.clock.fast_forward(round(seconds * 1000))
        self.quiet()

    def quiet(self) -> None:
        """Wait until no keeper waits for an answer."""
        for page in self.context.pages:
            page.wait_for_function("() => !window.busy")

    def pinged(self, count: int) -> None:
        """The site has seen so many heartbeats, within ten seconds of ours."""
        for _ in range(200):
            if self.site.pings() == count:
                return
            self.page.wait_for_timeout(50)
        assert self.site.pings() == count

    def warned(self) -> None:
        self.later(WARNS)
        expect(self.dialog).to_be_visible()

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("alertdialog")

    def button(self, name: str) -> Locator:
        return self.dialog.get_by_role("button", name=name, exact=True)

    def focused(self) -> str:
        """What has the focus: its id, in the dialog after a slash."""
        found: str = self.page.evaluate(
            "[document.activeElement?.id || document.activeElement?.tagName,"
            " document.activeElement?.shadowRoot?.activeElement?.id].join('/')"
        )
        return found

    def violations(self) -> list[Any]:
        self.page.evaluate(AXE)
        found = self.page.evaluate("axe.run()")
        return [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]]


@pytest.fixture
def ada(context: BrowserContext, site: Site) -> Visit:
    return Visit(context, site)


def test_the_dialog_opens_at_the_lead_and_closes_when_confirmed(ada: Visit) -> None:
    ada.page.fill("#text", "half a sentence")
    ada.later(WARNS - 10)
    expect(ada.dialog).not_to_be_visible()
    ada.later(10)
    expect(ada.dialog).to_be_visible()
    countdown = ada.dialog.locator("#countdown")
    shown = countdown.inner_text()
    assert shown[:2] == "1:"
    expect(countdown).not_to_have_text(shown)
    ada.button("Stay signed in").click()
    expect(ada.dialog).not_to_be_visible()
    assert ada.focused() == "text/"
    expect(ada.page.locator("input")).to_have_value("half a sentence")
    assert ada.site.requests(f"{PREFIX}heartbeat")[-1]["status"] == 200


def test_it_is_styled_although_nothing_inline_is_allowed(ada: Visit) -> None:
    ada.warned()
    assert ada.dialog.evaluate("node => getComputedStyle(node).paddingTop") == "24px"


def test_the_keyboard_stays_in_the_dialog_and_typing_answers_nothing(ada: Visit) -> None:
    ada.page.focus("#text")
    ada.warned()
    assert ada.focused() == "SESSION-KEEPER/title"
    ada.page.keyboard.type("words and \n more")
    expect(ada.dialog).to_be_visible()
    expect(ada.page.locator("input")).to_have_value("")
    reached = []
    for _ in range(6):
        ada.page.keyboard.press("Tab")
        reached.append(ada.focused())
    assert {"SESSION-KEEPER/stay", "SESSION-KEEPER/out"} <= set(reached)
    assert not {each for each in reached if "text" in each or "BUTTON" in each}


def test_escape_stays_signed_in(ada: Visit) -> None:
    ada.page.focus("#text")
    ada.warned()
    ada.page.keyboard.press("Escape")
    expect(ada.dialog).not_to_be_visible()
    assert ada.focused() == "text/"
    assert ada.site.requests(f"{PREFIX}heartbeat")[-1]["status"] == 200


CLOSED = """async (node) => {
    const closed = new Promise((resolve) => node.addEventListener("close", resolve));
    node.close();
    await closed;
    return node.open;
}"""


def test_a_browser_that_closes_it_without_asking_is_taken_for_escape(ada: Visit) -> None:
    ada.warned()
    before = ada.site.pings()
    ada.dialog.evaluate(CLOSED)
    expect(ada.dialog).not_to_be_visible()
    assert ada.site.pings() == before + 1
    ada.site.revoke("ada")
    ada.page.evaluate("document.querySelector('session-keeper').keeper.check()")
    expect(ada.dialog).to_be_visible()
    assert ada.dialog.evaluate(CLOSED) is True


def test_an_extension_that_fails_keeps_the_dialog_and_is_tried_again(ada: Visit) -> None:
    ada.warned()
    ada.site.answer(f"{PREFIX}heartbeat", 500)
    before = ada.site.pings()
    for _ in range(3):
        ada.page.keyboard.press("Escape")
    expect(ada.dialog.locator("#problem")).to_contain_text("Trying again")
    expect(ada.dialog).to_be_visible()
    ada.later(10)
    expect(ada.dialog).to_be_visible()
    assert ada.site.pings() > before
    ada.site.answer(f"{PREFIX}heartbeat", None)
    ada.later(40)  # tried again after at most a quarter of the time left, and a quarter of that
    expect(ada.dialog).not_to_be_visible()


def test_what_scripts_dispatch_is_nobody(ada: Visit) -> None:
    before = ada.site.pings()
    for _ in range(4):
        ada.page.evaluate(
            "for (const type of ['keydown', 'pointerdown', 'input', 'wheel'])"
            " document.body.dispatchEvent(new Event(type, {bubbles: true}))"
        )
        ada.later(400)
    assert ada.site.pings() == before
    ada.page.keyboard.press("a")
    ada.later(1)
    ada.pinged(before + 1)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_warning_is_accessible_in(language: str, context: BrowserContext, site: Site) -> None:
    stay, time = LANGUAGES[language]
    ada = Visit(context, site, lang=language)
    ada.warned()
    expect(ada.button(stay)).to_be_visible()
    expect(ada.dialog.locator("#spoken")).to_contain_text(time)
    right_to_left = language == "ar"
    assert ada.dialog.evaluate("node => getComputedStyle(node).direction") == (
        "rtl" if right_to_left else "ltr"
    )
    expect(ada.dialog).to_have_attribute("lang", language)
    assert ada.violations() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("forced", ["none", "active"])
def test_every_state_is_accessible(chromium: Browser, site: Site, scheme: Any, forced: Any) -> None:
    context = chromium.new_context(color_scheme=scheme, forced_colors=forced)
    context.clock.install()
    try:
        ada = Visit(context, site)
        ada.warned()
        assert ada.violations() == []
        ada.site.answer(f"{PREFIX}status", 500)
        ada.later(150)
        ada.settled("unverified")
        assert ada.violations() == []
        ada.site.answer(f"{PREFIX}status", None)
        ada.later(70)
        ada.settled("ended")
        expect(ada.dialog).to_have_accessible_name("You have been signed out")
        assert ada.violations() == []
        other = Visit(context, site, policy="brief")
        other.later(910)
        other.settled("absolute")
        assert other.violations() == []
    finally:
        context.close()


def test_the_absolute_limit_has_no_extension(context: BrowserContext, site: Site) -> None:
    ada = Visit(context, site, policy="brief")
    ada.later(890)
    expect(ada.dialog).not_to_be_visible()
    ada.later(15)
    expect(ada.dialog).to_contain_text("cannot be extended")
    expect(ada.button("Stay signed in")).not_to_be_visible()
    expect(ada.button("Sign out")).to_be_visible()
    ada.page.keyboard.press("Escape")
    expect(ada.dialog).not_to_be_visible()
    ada.later(100)
    expect(ada.dialog).not_to_be_visible()
    ada.later(200)
    expect(ada.dialog).to_have_accessible_name("You have been signed out")


def test_what_is_read_aloud_changes_rarely(ada: Visit) -> None:
    ada.warned()
    ada.page.evaluate(
        """() => {
            const root = document.querySelector("session-keeper").shadowRoot;
            const node = root.getElementById("spoken");
            window.said = [];
            new MutationObserver(() => said.push(node.textContent)).observe(
                node, {childList: true, characterData: true, subtree: true});
        }"""
    )
    ada.context.clock.run_for(100_000)
    said = [each.partition(": ")[2] for each in ada.page.evaluate("said")]
    assert said == ["60 seconds", "40 seconds", "20 seconds"]


def test_what_an_open_dialog_becomes_is_read_aloud_and_no_key_answers_it(ada: Visit) -> None:
    ada.warned()
    ada.page.keyboard.press("Tab")
    assert ada.focused() == "SESSION-KEEPER/stay"
    ada.site.answer(f"{PREFIX}status", 500)
    ada.later(150)
    ada.settled("unverified")
    assert ada.focused() == "SESSION-KEEPER/title"
    spoken = ada.dialog.locator("#spoken[role=status]")
    expect(spoken).to_have_text("No connection to the server. Trying again…")
    ada.site.answer(f"{PREFIX}status", None)
    ada.later(70)
    ada.settled("ended")
    expect(spoken).to_have_text("You have been signed out")
    assert ada.focused() == "SESSION-KEEPER/title"


def test_the_cover_hides_the_page_and_keeps_what_was_typed(ada: Visit) -> None:
    lost = len(ada.site.requests(f"{PREFIX}lost"))
    ada.page.fill("#text", "an hour of work")
    ada.page.focus("#text")
    ada.site.revoke("ada")
    ada.page.evaluate("document.querySelector('session-keeper').keeper.check()")
    expect(ada.dialog).to_contain_text("Your session was ended elsewhere.")
    backdrop = "node => getComputedStyle(node, '::backdrop').backgroundColor"
    assert ada.dialog.evaluate(backdrop) == "rgb(255, 255, 255)"
    ada.dialog.evaluate("node => node.addEventListener('close', () => window.closed_once = true)")
    ada.page.keyboard.press("a")
    ada.page.keyboard.press("Escape")
    expect(ada.dialog).to_be_visible()
    assert ada.page.evaluate("window.closed_once") is None
    for _ in range(3):  # a browser closes it after two, whatever the page wants
        ada.page.keyboard.press("Escape")
        expect(ada.dialog).to_be_visible()
    with ada.context.expect_page() as opened:
        ada.dialog.get_by_role("link", name="Sign in again").click()
    login = opened.value
    login.fill("#name", "ada")
    login.get_by_role("button", name="Sign in").click()
    expect(login.get_by_role("heading", level=1)).to_have_text("ada is here")
    expect(ada.dialog).not_to_be_visible()
    expect(ada.page.locator("input")).to_have_value("an hour of work")
    assert ada.focused() == "text/"
    assert len(ada.site.requests(f"{PREFIX}lost")) == lost + 1


@pytest.mark.parametrize(
    ("attributes", "arrives"),
    [
        ({"on_end": "reload"}, "/login?next=/"),
        ({"on_end": "redirect", "end_url": "/login?ended"}, "/login?ended"),
        ({"on_end": "redirect"}, "/login"),
    ],
)
def test_the_end_leaves_the_page(
    context: BrowserContext, site: Site, attributes: dict[str, str], arrives: str
) -> None:
    ada = Visit(context, site, **attributes)
    ada.later(1900)
    ada.page.wait_for_url(site.url + arrives)


def test_signing_out_in_the_dialog(ada: Visit) -> None:
    lost = len(ada.site.requests(f"{PREFIX}lost"))
    ada.warned()
    sessions = len(ada.site.sessions("ada"))
    ada.button("Sign out").click()
    expect(ada.dialog).to_have_accessible_name("You have been signed out")
    assert len(ada.site.sessions("ada")) == sessions - 1
    assert len(ada.site.requests(f"{PREFIX}lost")) == lost


def test_texts_are_replaced_by_attributes(context: BrowserContext, site: Site) -> None:
    ada = Visit(context, site, data_text_stay="Go on", data_text_title="Still there?")
    ada.warned()
    expect(ada.button("Go on")).to_be_visible()
    expect(ada.dialog).to_have_accessible_name("Still there?")


def test_offline_is_said_and_is_no_end(ada: Visit) -> None:
    ada.context.set_offline(True)
    ada.later(1900)
    ada.settled("unverified")
    expect(ada.dialog).to_have_accessible_name("No connection to the server. Trying again…")
    ada.context.set_offline(False)
    expect(ada.dialog).to_have_accessible_name("You have been signed out")


def test_a_clock_set_by_an_hour_warns_nobody(ada: Visit) -> None:
    before = len(ada.site.requests(f"{PREFIX}status"))
    now = ada.page.evaluate("Date.now()")
    ada.context.clock.set_system_time(now + 3_600_000)
    ada.context.clock.run_for(3_000)
    ada.page.wait_for_function(
        "() => document.querySelector('session-keeper').keeper.status().left > 1700"
    )
    assert len(ada.site.requests(f"{PREFIX}status")) == before + 1
    expect(ada.dialog).not_to_be_visible()


def test_an_element_taken_out_is_silent(ada: Visit) -> None:
    before = len(ada.site.requests(PREFIX))
    ada.page.evaluate("document.querySelector('session-keeper').remove()")
    ada.later(1900)
    ada.context.clock.run_for(3000)
    ada.page.evaluate("fetch('/me').then(String)")  # what was to be asked was asked before
    assert len(ada.site.requests(PREFIX)) == before


def test_an_application_without_the_element(ada: Visit) -> None:
    """The plain interface, as a single-page application uses it."""
    left = ada.page.evaluate(
        """async () => {
            document.querySelector("session-keeper").remove();
            const {SessionKeeper} = await import("/_session/client.js");
            const keeper = new SessionKeeper();
            keeper.addEventListener("session-ended", ({detail}) => window.why = detail.reason);
            window.keeper = keeper;
            keeper.start();
            await new Promise(resolve => keeper.addEventListener("change", () =>
                keeper.status().phase == "active" && resolve()));
            return keeper.status().left;
        }"""
    )
    assert 1790 < left <= 1800
    ada.site.revoke("ada")
    ada.page.evaluate("fetch('/me').then(keeper.heard)")
    ada.page.wait_for_function("() => window.why == 'revoked'")
