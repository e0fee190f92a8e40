"""Three applications behind one origin, as browsers meet them: one server process, a real Redis."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPMessage
from http.cookies import SimpleCookie
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from tests.architecture import ROOT
from tests.fresh import namespace as new_namespace

DJANGO, FLASK, FASTAPI = SITES = ("django", "flask", "fastapi")
COOKIE = "__Host-session"
PASSWORD = "counting rhymes"
pairs = pytest.mark.parametrize(("first", "second"), list(product(SITES, SITES)))
each_site = pytest.mark.parametrize("site", SITES)


class Shown(NamedTuple):
    status: int
    headers: HTTPMessage
    text: str


class Visitor:
    """A browser: keeps cookies, and Secure ones on the loopback address too, as Chromium does."""

    def __init__(self, port: int, cookies: dict[str, str] | None = None) -> None:
        self.port = port
        self.cookies = dict(cookies or {})

    def ask(self, method: str, path: str, form: dict[str, str] | None = None, **more: str) -> Shown:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            body = None if form is None else urlencode(form)
            connection.request(method, path, body, {**headers, **more})
            answer = connection.getresponse()
            shown = Shown(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()
        self._keep(shown.headers.get_all("Set-Cookie", []))
        return shown

    def _keep(self, lines: list[str]) -> None:
        for morsel in (each for line in lines for each in SimpleCookie(line).values()):
            if morsel["max-age"] == "0" or "1970" in morsel["expires"]:
                self.cookies.pop(morsel.key, None)
            else:
                self.cookies[morsel.key] = morsel.value

    def get(self, path: str) -> Shown:
        return self.ask("GET", path)

    def post(self, path: str, **form: str) -> Shown:
        """Django's forms carry a token; the other two do not mind one."""
        if path.startswith("/django/"):
            page = path if "password" in path else "/django/"
            found = re.search(r'csrfmiddlewaretoken" value="(\w+)"', self.get(page).text)
            assert found is not None
            form["csrfmiddlewaretoken"] = found[1]
        return self.ask("POST", path, form)

    def sign_in(self, site: str, name: str = "ada", password: str = PASSWORD) -> None:
        assert self.post(f"/{site}/sign-in", username=name, password=password).status in (302, 303)

    def sign_out(self, site: str) -> None:
        assert self.post(f"/{site}/sign-out").status in (302, 303)

    def visit(self, site: str) -> None:
        assert self.post(f"/{site}/visit").status in (302, 303)

    def seen_by(self, site: str) -> dict[str, Any]:
        shown = self.get(f"/{site}/me")
        assert shown.status == 200, shown.text
        found: dict[str, Any] = json.loads(shown.text)
        return found

    def name_at(self, site: str) -> str | None:
        name: str | None = self.seen_by(site)["name"]
        return name

    @property
    def names(self) -> set[str | None]:
        return {self.name_at(site) for site in SITES}

    def with_this_cookie(self) -> Visitor:
        """Somebody else who holds a copy of the session cookie of this moment."""
        return Visitor(self.port, {COOKIE: self.cookies[COOKIE]})


def command(folder: Path, store: str) -> list[str]:
    said = [sys.executable, "-W", "error", "-m", "examples.shared_login", "--port", "0"]
    return [*said, "--data", str(folder), "--store", store]


@contextmanager
def serving(folder: Path, store: str, *, namespace: str) -> Iterator[int]:
    """The example in a process of its own; the port. It ends by Ctrl-C and has nothing to say."""
    process = subprocess.Popen(
        command(folder, store),
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "OPENCLAW_SESSION__NAMESPACE": namespace,
            "DJANGO_SETTINGS_MODULE": "tests.examples.shared_login_settings",
            # Nothing is measured here, and the machine may be busy.
            "OPENCLAW_SESSION__STORE_TIMEOUT_SECONDS": "20",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", first)
        assert found is not None, first + process.stdout.read()
        yield int(found[1])
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
        assert (process.returncode, said) == (0, "")
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def port(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("shared")
    with serving(folder, redis_url, namespace=new_namespace()) as port:
        yield port


@pytest.fixture
def visitor(port: int) -> Visitor:
    return Visitor(port)


@pairs
def test_signed_in_on_one_is_signed_in_on_all(visitor: Visitor, first: str, second: str) -> None:
    visitor.sign_in(first)
    seen = visitor.seen_by(second)
    assert (seen["name"], seen["user_id"]) == ("ada", "1")


@pairs
def test_signed_out_of_one_is_signed_out_of_all(visitor: Visitor, first: str, second: str) -> None:
    visitor.sign_in(SITES[SITES.index(first) - 1])
    thief = visitor.with_this_cookie()
    visitor.sign_out(first)
    assert visitor.name_at(second) is None
    assert thief.name_at(second) is None


@each_site
def test_a_sign_in_makes_a_new_session_and_keeps_the_data(visitor: Visitor, site: str) -> None:
    for each in SITES:
        visitor.visit(each)
    fixed = visitor.with_this_cookie()
    assert fixed.seen_by(site)["visits"] == 3
    visitor.sign_in(site)
    assert visitor.cookies[COOKIE] != fixed.cookies[COOKIE]
    assert [visitor.seen_by(each)["visits"] for each in SITES] == [3, 3, 3]
    assert fixed.names == {None}
    assert fixed.seen_by(site)["visits"] == 0


@pairs
def test_signing_in_again_replaces_the_session(visitor: Visitor, first: str, second: str) -> None:
    visitor.sign_in(first)
    visitor.visit(second)
    before = visitor.with_this_cookie()
    visitor.sign_in(second)
    assert before.names == {None}
    assert visitor.names == {"ada"}
    assert visitor.seen_by(first)["visits"] == 1


@pairs
def test_nobody_inherits_from_another_user(visitor: Visitor, first: str, second: str) -> None:
    visitor.sign_in(first)
    visitor.visit(first)
    before = visitor.with_this_cookie()
    visitor.sign_in(second, "bob")
    assert visitor.names == {"bob"}
    assert visitor.seen_by(first)["visits"] == 0
    assert before.names == {None}


@pairs
def test_one_after_the_other_in_one_browser(visitor: Visitor, first: str, second: str) -> None:
    """Also after a sign-out that keeps the data, as Flask-Login's does."""
    visitor.sign_in(DJANGO)
    visitor.sign_out(first)
    visitor.sign_in(second, "bob")
    assert [visitor.name_at(site) for site in SITES] == ["bob"] * 3
    assert visitor.names == {"bob"}


def test_visits_counted_by_all_three_at_once(visitor: Visitor) -> None:
    visitor.sign_in(FASTAPI)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda site: visitor.with_this_cookie().visit(site), SITES * 8))
    assert [visitor.seen_by(site)["visits"] for site in SITES] == [24, 24, 24]


def test_the_browser_holds_one_cookie_of_ours(visitor: Visitor) -> None:
    for site in SITES:
        visitor.sign_in(site)
    assert set(visitor.cookies) == {COOKIE, "csrftoken"}
    shown = visitor.post("/flask/visit")
    assert shown.headers.get_all("Set-Cookie") is None
    assert visitor.names == {"ada"}


def test_the_admin_takes_staff_that_signed_in_elsewhere(port: int) -> None:
    for site in (FLASK, FASTAPI):
        ada, bob = Visitor(port), Visitor(port)
        ada.sign_in(site)
        bob.sign_in(site, "bob")
        assert "Site administration" in ada.get("/django/admin/").text
        assert bob.get("/django/admin/").headers["Location"].startswith("/django/admin/login/")
        assert bob.name_at(site) == "bob"


@each_site
def test_a_new_password_ends_what_was_signed_in_with_the_old(port: int, site: str) -> None:
    """At once and everywhere; nobody has to come by at Django first."""
    laptop = Visitor(port)
    laptop.sign_in(site, "bob")
    others = {each: Visitor(port) for each in SITES}
    for each, other in others.items():
        other.sign_in(each, "bob")
    change_password(laptop, PASSWORD, "a longer rhyme")
    assert laptop.names == {"bob"}
    assert [others[each].name_at(each) for each in SITES] == [None] * 3
    change_password(laptop, "a longer rhyme", PASSWORD)
    assert laptop.names == {"bob"}


def change_password(visitor: Visitor, old: str, new: str) -> None:
    form = {"old_password": old, "new_password1": new, "new_password2": new}
    shown = visitor.post("/django/admin/password_change/", **form)
    assert (shown.status, shown.headers["Location"]) == (302, "/")


def test_a_password_set_by_an_operator_ends_all_sessions_of_that_user(port: int) -> None:
    ada, bob = Visitor(port), Visitor(port)
    ada.sign_in(FLASK)
    bob.sign_in(FASTAPI, "bob")
    form = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert ada.post("/django/admin/auth/user/2/password/", **form).status == 302
    assert bob.names == {None}
    assert ada.names == {"ada"}


def test_sign_out_everywhere(port: int) -> None:
    devices = {site: Visitor(port) for site in SITES}
    for site, device in devices.items():
        device.sign_in(site)
    bob = Visitor(port)
    bob.sign_in(DJANGO, "bob")
    assert devices[FLASK].post("/fastapi/sign-out-everywhere").status == 303
    assert [devices[site].name_at(site) for site in SITES] == [None] * 3
    assert bob.names == {"bob"}


@each_site
def test_wrong_passwords_and_strange_cookies_are_nobody(visitor: Visitor, site: str) -> None:
    shown = visitor.post(f"/{site}/sign-in", username="ada", password="?")
    assert shown.status == 401
    assert "Wrong name or password" in shown.text
    visitor.cookies[COOKIE] = "x.y.z"
    assert visitor.name_at(site) is None


@each_site
def test_a_form_from_another_site_is_refused(visitor: Visitor, site: str) -> None:
    visitor.sign_in(site)
    for header in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert visitor.ask("POST", f"/{site}/sign-out", {}, **header).status == 403
    assert visitor.names == {"ada"}


def test_the_landing_page_in_a_browser(port: int, chromium: Browser) -> None:
    page = chromium.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.goto(f"http://127.0.0.1:{port}/")
    frames = {site: page.frame_locator(f'iframe[src="/{site}/"]') for site in SITES}
    for frame in frames.values():
        expect(frame.get_by_text("Nobody is signed in")).to_be_visible()
    frames[FLASK].get_by_label("Name").fill("ada")
    frames[FLASK].get_by_label("Password").fill(PASSWORD)
    frames[FLASK].get_by_role("button", name="Sign in").click()
    for frame in frames.values():
        expect(frame.get_by_text("Signed in as ada")).to_be_visible()
    frames[DJANGO].get_by_role("button", name="Count a visit").click()
    for frame in frames.values():
        expect(frame.get_by_role("status")).to_have_text("1")
    frames[FASTAPI].get_by_role("button", name="Sign out").click()
    for frame in frames.values():
        expect(frame.get_by_text("Nobody is signed in")).to_be_visible()
    assert problems == []
    page.context.close()


def test_a_file_does_as_well_and_a_restart_signs_nobody_out(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'shared.db'}"
    with serving(tmp_path, store, namespace="shared_login") as port:
        before = Visitor(port)
        before.sign_in(FASTAPI)
        assert before.names == {"ada"}
    with serving(tmp_path, store, namespace="shared_login") as port:
        after = Visitor(port, before.cookies)
        assert after.names == {"ada"}
        after.sign_out(FLASK)
        assert after.names == {None}


def test_what_is_said_when_the_store_is_away(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        port = nobody.getsockname()[1]
        done = run(command(tmp_path, f"redis://127.0.0.1:{port}/0"))
    assert done.returncode == 1
    assert "The store does not answer" in done.stdout
    assert str(port) in done.stdout
    assert "--store sqlite:///" in done.stdout
    assert "Traceback" not in done.stdout


def test_what_is_said_when_the_store_is_unknown(tmp_path: Path) -> None:
    done = run(command(tmp_path, "reddis://127.0.0.1"))
    assert done.returncode == 1
    assert "did you mean redis://?" in done.stdout
    assert "Traceback" not in done.stdout


def test_its_authors_tests_pass() -> None:
    """In a process of their own: Django can be set up once only."""
    done = run([sys.executable, "-W", "error", "-m", "pytest", "-q", "examples/shared_login"])
    assert done.returncode == 0, done.stdout


def run(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
