"""The markup in a real browser: the script passes its integrity and a strict policy, the element
begins with what the page says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from openclaw_middleware import SessionSettings
from openclaw_middleware.adapters.starlette import SessionMiddleware, get_session, session_keeper
from tests import browser
from tests.live import Live
from tests.servers import Servers

POLICY = "default-src 'none'; script-src 'nonce-r4nd'; connect-src 'self'; frame-ancestors 'none'"


async def page(request: Request) -> Response:
    markup = session_keeper(request, nonce="r4nd", data_text_title='Soon "over" <b>')
    body = f"<!doctype html><html lang=en><title>A page</title><body><p>Hello</p>{markup}"
    return HTMLResponse(body, headers={"Content-Security-Policy": POLICY})


async def sign_in(request: Request) -> Response:
    get_session(request).login("ada")
    return RedirectResponse("/", 303)


@pytest.fixture(scope="module")
def chromium(servers: Servers) -> Iterator[Browser]:
    with browser.chromium(servers) as started:
        yield started


@pytest.fixture(scope="module")
def site() -> Iterator[Live]:
    app = Starlette(routes=[Route("/", page), Route("/sign-in", sign_in)])
    app.add_middleware(SessionMiddleware, sessions=SessionSettings.for_tests(enable_heartbeat=True))
    with Live(app) as live:
        yield live


def test_the_element_begins_with_what_the_page_says(chromium: Browser, site: Live) -> None:
    made = chromium.new_context().new_page()
    asked: list[str] = []
    wrong: list[str] = []
    made.on("request", lambda each: asked.append(each.url.removeprefix(site.url)))
    made.on("console", lambda each: wrong.append(each.text) if each.type == "error" else None)
    made.on("pageerror", lambda each: wrong.append(str(each)))
    made.goto(f"{site.url}/sign-in")
    made.wait_for_function("document.querySelector('session-keeper').keeper")
    status = made.evaluate("document.querySelector('session-keeper').keeper.status()")
    assert (status["phase"], status["offline"]) == ("active", False)
    assert 1790 < status["left"] <= 1800
    made.wait_for_timeout(1500)  # it looks every second, and finds nothing to ask
    paths = [each.partition("?")[0] for each in asked if "favicon" not in each]
    assert paths == ["/sign-in", "/", "/_session/client.js"]
    assert [each for each in wrong if "favicon" not in each] == []
    expect(made.locator("noscript")).to_be_hidden()
    made.context.close()
