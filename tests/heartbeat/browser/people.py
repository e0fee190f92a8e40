"""People in front of a site: a browser profile each, with tabs, and time that a test moves.

The browser's clock and the server's are moved together; both run on with the real time. Nothing
in here knows a framework or a proxy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

from tests.heartbeat.sites import Site

AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"

WATCH = """
window.heard = [];
for (const name of ["warning", "extended", "stale", "unverified", "ended", "changed", "signed-in",
                    "offline", "online"]) {
  addEventListener("session-" + name, (event) => heard.push([name, event.detail, Date.now()]));
}
window.busy = 0;
const counted = (object, name, whole) => {
  const real = object?.[name].bind(object);
  if (real) object[name] = (...given) => {
    const answer = real(...given);
    busy++;
    answer.then(whole).catch(() => {}).then(() => busy--);
    return answer;
  };
};
counted(window, "fetch", (answer) => answer.clone().text());
counted(navigator.locks, "request", () => {});
"""
"""The keeper's events are written down, and it is known when it waits for an answer."""


class Person:
    """Somebody with a browser profile of their own.

    Args:
        site: where they are.
        url: how they get there, when there is a proxy in front of it.
        options: of the browser context.
    """

    def __init__(self, browser: Browser, site: Site, url: str | None = None, **options: Any):
        self.site, self.url = site, url or site.url
        self.context: BrowserContext = browser.new_context(ignore_https_errors=True, **options)
        self.context.set_default_timeout(10_000)
        self.context.clock.install(time=site.now)
        self.context.add_init_script(WATCH)
        self.errors: list[str] = []

    def copy(self, other: Person) -> None:
        """Take over the other's cookies: one session in two browsers that know nothing else."""
        self.context.add_cookies(other.context.cookies())

    def tab(self, path: str = "/") -> Tab:
        """A new tab with this page."""
        tab = Tab(self, self.context.new_page())
        tab.page.goto(self.url + path)
        return tab

    def sign_in(self, name: str, policy: str = "", path: str = "/") -> Tab:
        """A new tab in which they have signed in and opened the page, the keeper at work."""
        if self.url == self.site.url:
            form = {"name": name, "policy": policy}
            assert self.context.request.post(f"{self.url}/login", form=form, max_redirects=0)
            tab = self.tab(path)
        else:  # names that only the browser knows
            tab = self.tab(f"/login?policy={policy}")
            tab.sign_in(name)
        tab.settled("active")
        return tab


class Tab:
    """One tab of a person's browser."""

    def __init__(self, person: Person, page: Page) -> None:
        self.person, self.page = person, page
        page.on("console", self._console)
        page.on("pageerror", lambda error: person.errors.append(str(error)))

    def _console(self, message: ConsoleMessage) -> None:
        # Of an answer that is an error, or missing, the browser itself says so.
        if not message.text.startswith("Failed to load resource"):
            self.person.errors.append(message.text)

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("alertdialog")

    def sign_in(self, name: str) -> None:
        """Fill in the login page this tab shows."""
        self.page.fill("#name", name)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text(f"{name} is here")

    def press(self, name: str) -> None:
        """Press a button of the dialog."""
        self.dialog.get_by_role("button", name=name, exact=True).click()

    def type(self, text: str) -> None:
        """Do something on the page, as a person does."""
        self.page.get_by_label("Your text").press_sequentially(text)

    def status(self) -> Any:
        """What the keeper believes."""
        return self.page.evaluate("document.querySelector('session-keeper').keeper.status()")

    def check(self) -> None:
        """Make the keeper ask the server, as a page in view again does; until it was answered."""
        self.page.evaluate("() => document.querySelector('session-keeper').keeper.check()")
        quiet(self.person)

    def settled(self, phase: str, **more: Any) -> Any:
        """Wait until the keeper is in this phase; its status then."""
        self.page.wait_for_function(
            """([phase, more]) => {
                const status = document.querySelector("session-keeper")?.keeper?.status();
                return status && status.phase == phase
                    && Object.entries(more).every(([name, value]) => status[name] == value);
            }""",
            arg=[phase, more],
        )
        return self.status()

    def heard(self, name: str) -> list[Any]:
        """The details of the events of this name so far, `session-` left out."""
        return [detail for each, detail, _ in self._told() if each == name]

    def behind(self, other: Tab, name: str) -> float:
        """Seconds from the last event of this name in the other tab to the one here.

        By the clock the tabs share: how long the test took to look is not counted.
        """
        here, there = ([at for each, _, at in tab._told() if each == name] for tab in (self, other))
        return float(here[-1] - there[-1]) / 1000

    def _told(self) -> Any:
        return self.page.evaluate("window.heard")

    def violations(self) -> list[str]:
        """What axe finds wrong with what is shown now."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("axe.run()")
        return [f"{each['id']}: {each['help']}" for each in found["violations"]]


def later(seconds: float, *people: Person) -> None:
    """Let time go by for a site and these people; timers that were due meanwhile fire once.

    Not between a question of a keeper's and its answer: that would be a very slow answer.
    """
    quiet(*people)
    sites = {id(each.site): each.site for each in people}
    for site in sites.values():
        site.advance(seconds)
    for each in people:
        each.context.clock.fast_forward(round(seconds * 1000))
    quiet(*people)


def quiet(*people: Person) -> None:
    """Wait until no keeper waits for an answer."""
    for each in people:
        for page in each.context.pages:
            page.wait_for_function("() => !window.busy")
