"""Two applications on one origin, each with its own sessions: one browser is in both at once.

What their tabs tell each other is for the tabs of the same session only.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from flask import Flask, Response, redirect, render_template_string
from playwright.sync_api import Browser, Page
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

from openclaw_middleware import SessionSettings
from openclaw_middleware.adapters.flask import OpenClaw, current_session

from .people import WATCH

PAGE = "<!doctype html><title>{{ session.who }}</title><input>{{ session_keeper() }}"
KEEPER = "document.querySelector('session-keeper').keeper"


def application(name: str) -> Flask:
    app = Flask(name)
    OpenClaw(app, sessions=SessionSettings.for_tests(enable_heartbeat=True, cookie_name=name))

    @app.get("/in/<who>")
    def sign_in(who: str) -> Response:
        current_session.login(who)
        current_session["who"] = who
        return redirect(f"/{name}/")

    @app.get("/")
    def page() -> str:
        return render_template_string(PAGE)

    return app


@pytest.fixture
def origin() -> Iterator[str]:
    """Where `/shop` and `/office` are."""
    both = {f"/{name}": application(name) for name in ("shop", "office")}
    server = make_server("127.0.0.1", 0, DispatcherMiddleware(NotFound(), both), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def asked(page: Page) -> str:
    """Let the keeper ask the server; how the session stands."""
    page.evaluate(f"{KEEPER}.check()")
    page.wait_for_function("busy == 0")
    phase: str = page.evaluate(f"{KEEPER}.status()")["phase"]
    return phase


def heard(page: Page) -> set[str]:
    return {name for name, *_ in page.evaluate("heard")}


def test_a_tab_of_another_session_is_told_nothing(chromium: Browser, origin: str) -> None:
    context = chromium.new_context()
    context.add_init_script(WATCH)
    shop, more, office = (context.new_page() for _ in range(3))
    shop.goto(f"{origin}/shop/in/ada")
    more.goto(f"{origin}/shop/")
    office.goto(f"{origin}/office/in/bob")
    assert [page.title() for page in (shop, more, office)] == ["ada", "ada", "bob"]
    assert [asked(page) for page in (shop, more, office)] == ["active"] * 3
    before = office.evaluate(f"{KEEPER}.status()")

    shop.locator("input").press_sequentially("a")
    shop.evaluate(f"{KEEPER}.extend()")
    shop.wait_for_function("busy == 0")
    shop.evaluate(f"{KEEPER}.logout()")
    more.wait_for_function("heard.some(([name]) => name == 'ended')")

    assert office.evaluate(f"{KEEPER}.status()")["now"] == before["now"], (
        "an answer that was not for it"
    )
    assert asked(office) == "active"
    assert heard(office) == set()
    shop.goto(f"{origin}/shop/in/eve")
    assert [asked(page) for page in (shop, office)] == ["active"] * 2
    assert heard(office) == set()
    context.close()
