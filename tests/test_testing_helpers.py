"""The helpers for applications' own tests: sign in, look at a session, move the clock."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from flask import Flask, session
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from openclaw_middleware import ConfigurationError, EndReason, SessionSettings
from openclaw_middleware.adapters.flask import OpenClaw
from openclaw_middleware.adapters.starlette import SessionMiddleware, get_session
from openclaw_middleware.testing import Clock, login, session_of, set_clock
from openclaw_middleware.wsgi import SessionMiddleware as WSGISessionMiddleware

with warnings.catch_warnings():  # WebOb still imports the standard library's cgi
    warnings.simplefilter("ignore", DeprecationWarning)
    from webtest import TestApp


async def show(request: Request) -> JSONResponse:
    mine = get_session(request)
    mine["seen"] = mine.get("seen", 0) + 1
    return JSONResponse({"user": mine.user_id, "data": mine.to_dict()})


def starlette_client(settings: SessionSettings) -> Any:
    app = Starlette(routes=[Route("/", show)])
    app.add_middleware(SessionMiddleware, sessions=settings)
    return TestClient(app)


def flask_client(settings: SessionSettings) -> Any:
    app = Flask(__name__)
    app.config["SECRET_KEY"] = settings.secret_key.get_secret_value()
    app.config["OPENCLAW"] = {"store": "memory://", "cookie_secure": False}
    OpenClaw(app)

    @app.get("/")
    def index() -> dict[str, Any]:
        session["seen"] = session.get("seen", 0) + 1
        return {"user": session.user_id, "data": dict(session)}  # type: ignore[attr-defined]

    return app.test_client()


def wsgi_client(settings: SessionSettings) -> Any:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        mine = environ["openclaw.session"]
        mine["seen"] = mine.get("seen", 0) + 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    return TestApp(WSGISessionMiddleware(app, settings))


CLIENTS = {"starlette": starlette_client, "flask": flask_client, "wsgi": wsgi_client}


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_client_is_signed_in_without_a_view(kind: str) -> None:
    """The next request has the user and the data; what it wrote is seen afterwards."""
    client = CLIENTS[kind](SessionSettings.for_tests())
    login(client, 7, seen=3)

    client.get("/")

    found = session_of(client)
    assert (found.user_id, found["seen"]) == ("7", 4)


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_client_without_a_cookie_has_an_empty_session(kind: str) -> None:
    """Nothing is made by looking."""
    client = CLIENTS[kind](SessionSettings.for_tests())

    found = session_of(client)

    assert found.is_new
    assert found.to_dict() == {}


def test_time_is_the_tests_own(openclaw_settings: SessionSettings, openclaw_clock: Clock) -> None:
    """The fixtures give an application whose sessions end when the test says so."""
    client = starlette_client(openclaw_settings)
    login(client, 7)
    openclaw_clock.advance(1799)
    assert session_of(client).user_id == "7"

    openclaw_clock.advance(1)

    assert session_of(client).previous_end is EndReason.IDLE


def test_a_clock_that_comes_too_late_is_refused() -> None:
    """An application already runs by another clock."""
    settings = SessionSettings.for_tests()
    client = starlette_client(settings)
    login(client, 7)

    with pytest.raises(ConfigurationError, match="before the first use"):
        set_clock(settings, Clock())


def test_a_client_without_our_middleware_is_told_so() -> None:
    """The message names what is missing."""
    with pytest.raises(ConfigurationError, match="SessionMiddleware"):
        session_of(TestClient(Starlette()))
