"""The demo as a person meets it: a real server, a real browser, two commands."""

from __future__ import annotations

import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from starlette.testclient import TestClient

from examples.demo.app import build
from examples.demo.place import settings_in
from examples.demo.story import Watch
from examples.demo.words import ago, browser, clock
from tests.architecture import ROOT
from tests.examples.served import Served

COOKIE = "__Host-session"
APOSTROPHE = "\u2019"


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path / "data") as served:
        yield served


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for the tests that leave it running; every person has a name of their own."""
    with Served(tmp_path_factory.mktemp("demo")) as served:
        yield served


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """The application without a server, over https so that the cookie travels."""
    with TestClient(build(tmp_path), base_url="https://testserver") as client:
        yield client


class Person:
    """Somebody with a browser profile of their own."""

    def __init__(self, browser: Browser, url: str, *, javascript: bool = True) -> None:
        self.context: BrowserContext = browser.new_context(java_script_enabled=javascript)
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("console", lambda message: self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.url = url

    def look(self) -> Page:
        self.page.goto(self.url)
        return self.page

    def sign_in(self, name: str, *, remember: bool = False) -> None:
        self.look().fill("#name", name)
        self.page.set_checked("[name=remember]", remember)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text(
            f"{name}{APOSTROPHE}s notepad"
        )

    def note(self, text: str) -> None:
        self.page.fill("[name=text]", text)
        self.page.get_by_role("button", name="Keep it").click()
        expect(self.page.locator(".notes li").first).to_contain_text(text)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def notes(self) -> list[str]:
        return self.look().locator(".notes span").all_text_contents()

    @property
    def signed_in(self) -> bool:
        return self.look().get_by_role("button", name="Sign out", exact=True).count() == 1


class TestInABrowser:
    @pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
    def test_a_day_with_the_demo(self, demo: Served, chromium: Browser, javascript: bool) -> None:
        """Sign in, write, restart the server: still signed in, note still there, sign out."""
        ada = Person(chromium, demo.url, javascript=javascript)
        ada.sign_in("Ada")
        ada.note("Buy oat milk")
        expect(ada.page.locator(".clocks figure")).to_have_count(2)
        assert demo.stop()[0] == 0
        demo.start()
        assert ada.signed_in
        assert ada.notes() == ["Buy oat milk"]

        phone = Person(chromium, demo.url, javascript=javascript)
        phone.sign_in("Ada", remember=True)
        assert phone.notes() == []
        expect(ada.look().locator(".devices li")).to_have_count(2)
        expect(ada.page.locator(".devices")).to_contain_text("remembered")

        ada.press("Sign out everywhere")
        expect(ada.page.get_by_role("status")).to_contain_text("signed out on every device")
        expect(phone.look().get_by_role("status")).to_contain_text("You signed out")
        assert not ada.signed_in
        assert not phone.signed_in
        assert ada.errors == phone.errors == []

    def test_one_device_is_ended_from_another(self, running: Served, chromium: Browser) -> None:
        laptop, phone = Person(chromium, running.url), Person(chromium, running.url)
        laptop.sign_in("Grace")
        phone.sign_in("Grace")
        laptop.look()
        laptop.press("End this one")
        expect(phone.look().get_by_role("status")).to_contain_text("ended from another")
        assert phone.context.cookies() == []
        assert laptop.signed_in

    def test_two_tabs_both_keep_their_notes(self, running: Served, chromium: Browser) -> None:
        ada = Person(chromium, running.url)
        ada.sign_in("Ada")
        other = ada.context.new_page()
        other.goto(running.url)
        ada.note("from the first tab")
        other.fill("[name=text]", "from the second tab")
        other.get_by_role("button", name="Keep it").click()
        expect(other.locator(".notes li")).to_have_count(2)
        other.get_by_role("button", name="Remove “from the first tab”").click()
        expect(other.locator(".notes li")).to_have_count(1)

    def test_the_clocks_run_by_script(self, running: Served, chromium: Browser) -> None:
        ada = Person(chromium, running.url)
        ada.sign_in("Ada")
        idle = ada.page.locator("figure strong").first
        before = idle.text_content()
        expect(idle).not_to_have_text(before or "")

    def test_the_warning_is_shown_under_the_pages_own_policy(
        self, running: Served, chromium: Browser
    ) -> None:
        """Offline the page warns by what it knows, and back online by what the server says."""
        ada = Person(chromium, running.url)
        ada.context.clock.install()
        ada.look().fill("#name", "Ada")
        ada.page.check("[name=short]")
        ada.press("Sign in")
        keeper = "document.querySelector('session-keeper').keeper?.status().phase == 'active'"
        ada.page.wait_for_function(f"() => {keeper}")
        ada.context.set_offline(True)
        ada.context.clock.fast_forward(76_000)
        dialog = ada.page.get_by_role("alertdialog")
        expect(dialog).to_contain_text("You will be signed out soon")
        ada.context.set_offline(False)
        expect(dialog).to_be_hidden()
        assert [each for each in ada.errors if "Failed to load" not in each] == []

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_a_secure_cookie_is_kept_on_ones_own_machine(
        self, running: Served, chromium: Browser, host: str
    ) -> None:
        """Plain http, and yet `__Host-` and Secure: what a developer gets."""
        ada = Person(chromium, f"http://{host}:{running.port}/")
        ada.sign_in("Ada")
        (cookie,) = ada.context.cookies()
        assert cookie["name"] == COOKIE
        assert cookie["secure"]
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Lax"
        assert cookie["expires"] == -1
        assert ada.signed_in

    def test_remembered_means_that_the_cookie_outlives_the_browser(
        self, running: Served, chromium: Browser
    ) -> None:
        ada = Person(chromium, running.url)
        ada.sign_in("Ada", remember=True)
        (cookie,) = ada.context.cookies()
        assert cookie["expires"] > 0

    @pytest.mark.parametrize("width", [320, 390, 768, 1280])
    def test_nothing_sticks_out(self, running: Served, chromium: Browser, width: int) -> None:
        """From the smallest phone to a desk."""
        ada = Person(chromium, running.url)
        ada.page.set_viewport_size({"width": width, "height": 800})
        ada.sign_in("A" * 40)
        ada.note("W" * 200)
        assert ada.page.evaluate("document.documentElement.scrollWidth") <= width


class TestTheCommand:
    def test_ctrl_c_ends_it_cleanly(self, demo: Served) -> None:
        httpx2.get(demo.url)
        code, said = demo.stop()
        assert code == 0
        assert "The demo has ended." in said
        assert "Traceback" not in said

    def test_a_busy_port_is_said_in_a_sentence(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            command = [sys.executable, "-m", "examples.demo", "--port", str(port)]
            done = subprocess.run(
                [*command, "--data", str(tmp_path / "data")],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=60,
            )
        assert done.returncode == 1
        assert f"Port {port} cannot be used" in done.stderr
        assert f"make demo PORT={port + 1}" in done.stderr
        assert "Traceback" not in done.stderr

    def test_the_key_is_kept_and_nobody_elses(self, demo: Served) -> None:
        key = demo.folder / "secret.key"
        first = key.read_text()
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert stat.S_IMODE(demo.folder.stat().st_mode) == 0o700
        demo.stop()
        demo.start()
        assert key.read_text() == first


class TestWithoutABrowser:
    """What the pages promise, request by request."""

    def test_a_first_visit_leaves_nothing(self, client: TestClient, tmp_path: Path) -> None:
        answer = client.get("/")
        assert "set-cookie" not in answer.headers
        assert "<b>0</b> trips" in answer.text
        assert "No clock is running" in answer.text

    def test_static_files_have_no_session(self, tmp_path: Path) -> None:
        """A page with five of them costs the store no more than one with none."""
        assert settings_in(tmp_path, Watch()).skip_paths == ("/static",)

    def test_nothing_is_inline_or_from_elsewhere(self, client: TestClient) -> None:
        client.post("/sign-in", data={"name": "Ada"})
        answer = client.get("/")
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe-inline" not in policy
        assert not re.search(
            r"<style|<script(?![^>]* src=)| style=| on[a-z]+=|https?://", answer.text
        )

    def test_anonymous_notes_come_along(self, client: TestClient) -> None:
        client.post("/notes", data={"text": "before"})
        before = client.cookies[COOKIE]
        client.post("/sign-in", data={"name": "Ada"})
        assert client.cookies[COOKIE] != before
        assert "before" in client.get("/").text

    def test_forms_of_other_sites_are_refused(self, client: TestClient) -> None:
        for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
            assert client.post("/notes", data={"text": "x"}, headers=headers).status_code == 403
        for headers in ({"origin": "https://testserver"}, {"sec-fetch-site": "same-origin"}):
            assert client.post("/notes", data={"text": "x"}, headers=headers).status_code == 200

    def test_markup_in_names_and_notes_is_text(self, client: TestClient) -> None:
        client.post("/sign-in", data={"name": "<i>A</i>"})
        client.post("/notes", data={"text": '"><script>alert(1)</script>'})
        page = client.get("/").text
        assert "<script>alert" not in page
        assert "<i>A</i>" not in page

    def test_the_page_tells_what_it_took_and_never_the_token(self, client: TestClient) -> None:
        client.post("/notes", data={"text": "x"})
        client.post("/sign-in", data={"name": "Ada"}, follow_redirects=False)
        token = client.cookies[COOKIE]
        page = client.get("/").text
        assert "POST /sign-in" in page
        assert "<code>succeed</code>" in page
        assert "new secret" in page
        assert f"Set-Cookie: {COOKIE}=<i>•••</i>; HttpOnly; Path=/; SameSite=Lax; Secure" in page
        assert [part for part in token.split(".") if len(part) > 10 and part in page] == []

    def test_nobodys_devices_can_be_ended_by_somebody_else(self, client: TestClient) -> None:
        client.post("/sign-in", data={"name": "Ada"})
        ada = client.cookies[COOKIE]
        session_id = ".".join(ada.split(".")[:2])
        client.cookies.clear()
        client.post("/devices/end", data={"id": session_id})
        client.post("/sign-in", data={"name": "Eve"})
        client.post("/devices/end", data={"id": session_id})
        client.cookies.clear()
        client.cookies.set(COOKIE, ada)
        assert f"Ada{APOSTROPHE}s notepad" in client.get("/").text

    def test_notes_are_bounded(self, client: TestClient) -> None:
        for number in range(52):
            client.post("/notes", data={"text": f"{number}-" + "x" * 400}, follow_redirects=False)
        page = client.get("/").text
        assert page.count("Remove “") == 50
        assert "x" * 281 not in page


def test_notes_sent_at_once_are_all_kept(running: Served) -> None:
    """Twenty tabs, one session."""
    with httpx2.Client(base_url=running.url) as first:
        answer = first.post("/sign-in", data={"name": "Ada"})
        # A client that is no browser does not send a Secure cookie over plain http by itself.
        cookie = answer.headers["set-cookie"].partition(";")[0]

    def write(number: int) -> int:
        with httpx2.Client(base_url=running.url, headers={"cookie": cookie}) as tab:
            return tab.post("/notes", data={"text": f"note {number};"}).status_code

    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(write, range(20))) == {303}
    page = httpx2.get(running.url, headers={"cookie": cookie}).text
    assert [number for number in range(20) if f"<span>note {number};</span>" not in page] == []


def test_words() -> None:
    assert [clock(s) for s in (0, 61, 3600, 28799.5, 86400 * 14)] == [
        "00:00",
        "01:01",
        "1:00:00",
        "8:00:00",
        "14 d 0 h",
    ]
    assert [ago(s) for s in (3, 60, 7200, 200000)] == [
        "just now",
        "1 min ago",
        "2 h ago",
        "2 d ago",
    ]
    assert browser("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/156") == "Chrome on Linux"
    assert browser("Mozilla/5.0 (iPhone; ...) Version/19 Safari/605") == "Safari on iPhone"
    assert browser(None) == "A browser"
