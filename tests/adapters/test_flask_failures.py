"""Failed commits and outages in Flask: answered in place, where exception handlers do not reach."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Blueprint, Flask, session

from openclaw_middleware import CodecError, StoreError, StoreUnavailable
from openclaw_middleware.adapters.flask import current_session
from openclaw_middleware.testing import login
from tests.drivers.steps import break_store, mend_store
from tests.drivers.world import World

from .flask_apps import cookies, make

AWAY = b"Your session is out of reach"


@pytest.fixture
def world() -> World:
    return World()


def shop(world: World, **config: Any) -> Flask:
    app = make(world, **config)
    app.add_url_rule("/read", "read", lambda: str(session.get("a")))
    app.add_url_rule("/write", "write", lambda: str(session.update(a=2)))
    app.add_url_rule("/logout", "logout", lambda: str(current_session.logout()))
    app.add_url_rule("/public", "public", lambda: "public")

    @app.get("/save")
    def save() -> str:
        session["a"] = 3
        current_session.save()
        return "saved"

    @app.get("/swallow")
    def swallow() -> str:
        try:
            return str(session["a"])
        except StoreError:
            return "never mind"

    return app


@pytest.mark.parametrize("config", [{"TESTING": False}, {"TESTING": True}, {"DEBUG": True}])
@pytest.mark.parametrize("page", ["/read", "/write", "/save", "/swallow"])
def test_outage_is_503_and_keeps_the_cookie(world: World, page: str, config: Any) -> None:
    client = shop(world, **config).test_client()
    login(client, "u1", a=1)
    break_store()(world)
    response = client.get(page)
    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert response.data.startswith(AWAY)
    assert cookies(response) == []
    assert client.get("/public").text == "public"
    mend_store(world)
    assert client.get("/read").text == "1"


def test_failed_commit_replaces_the_page_whatever_handles_errors(world: World) -> None:
    app = shop(world, TESTING=False)
    seen: list[Any] = []
    for kind in (Exception, 500, 503, StoreError):
        app.register_error_handler(kind, lambda error: seen.append(error) or ("mine", 500))
    client = app.test_client()
    login(client, "u1", a=1)
    break_store("save")(world)
    response = client.get("/write")
    assert (response.status_code, seen) == (503, [])
    assert response.data.startswith(AWAY)
    mend_store(world)
    assert client.get("/read").text == "1"


def test_an_application_may_word_its_own_503(world: World) -> None:
    app = shop(world, TESTING=False)
    app.register_error_handler(StoreUnavailable, lambda error: ("back soon", 503))
    client = app.test_client()
    login(client, "u1")
    break_store()(world)
    assert client.get("/read").text == "back soon"
    assert client.get("/swallow").data.startswith(AWAY)


def test_handler_registered_before_ours_stays(world: World) -> None:
    app = Flask("before")
    app.register_error_handler(StoreError, lambda error: ("back soon", 503))
    app.config.update(
        SECRET_KEY=world.options["secret_key"],
        OPENCLAW={"STORE": world.store("sync"), "COOKIE_SECURE": False},
    )
    from openclaw_middleware.adapters.flask import OpenClaw

    OpenClaw(app)
    app.add_url_rule("/", view_func=lambda: str(session.update(a=1) or current_session.save()))
    break_store()(world)
    assert app.test_client().get("/").text == "back soon"


def test_error_page_of_a_blueprint_does_not_hide_an_outage(world: World) -> None:
    app = make(world, TESTING=False)
    pages = Blueprint("pages", __name__)
    pages.register_error_handler(Exception, lambda error: ("oops", 500))
    pages.add_url_rule("/", view_func=lambda: str(session.get("a")))
    app.register_blueprint(pages)
    client = app.test_client()
    login(client, "u1")
    break_store()(world)
    response = client.get("/")
    assert response.status_code == 503
    assert response.data.startswith(AWAY)


def test_hook_after_the_request_meets_an_outage(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = make(world, TESTING=False)
    app.add_url_rule("/", view_func=lambda: "page")

    @app.after_request
    def remember(response: Any) -> Any:
        session["seen"] = True
        return response

    client = app.test_client()
    login(client, "u1")
    break_store()(world)
    with caplog.at_level(logging.CRITICAL):
        assert client.get("/").status_code == 503


@pytest.mark.parametrize("verb", ["load", "end"])
def test_failed_logout_clears_the_browser(world: World, verb: str) -> None:
    client = shop(world).test_client()
    login(client, "u1")
    break_store(verb)(world)
    response = client.get("/logout")
    assert response.status_code == 503
    assert client.get_cookie("session") is None


def test_refused_login_is_409_saved_or_committed(world: World) -> None:
    app = make(world, OPENCLAW={"MAX_SESSIONS_PER_USER": 1, "ON_LIMIT": "reject"}, TESTING=False)
    app.add_url_rule("/login", "login", lambda: str(current_session.login("u1")))

    @app.get("/save")
    def save() -> str:
        current_session.login("u1")
        current_session.save()
        return "in"

    login(app.test_client(), "u1")
    for page in ("/login", "/save"):
        response = app.test_client().get(page)
        assert response.status_code == 409
        assert cookies(response) == []


def test_value_that_cannot_be_stored_is_named(world: World) -> None:
    app = make(world)
    app.add_url_rule("/set", "set", lambda: str(session.update(bad=object())))
    app.add_url_rule("/nested", "nested", lambda: str(session["list"].append(object())))
    client = app.test_client()
    login(client, "u1", list=[1])
    for page, key in (("/set", "bad"), ("/nested", "list")):
        with pytest.raises(CodecError, match=rf"session\['{key}'\].*object"):
            client.get(page)
    assert world.live() == [("u1", {"list": [1]})]


def test_error_page_drops_data_and_keeps_a_logout(world: World) -> None:
    app = make(world, TESTING=False)

    @app.get("/crash")
    def crash() -> str:
        session["a"] = 2
        raise ZeroDivisionError

    @app.get("/logout")
    def log_out() -> str:
        current_session.logout()
        raise ZeroDivisionError

    client = app.test_client()
    login(client, "u1", a=1)
    assert client.get("/crash").status_code == 500
    assert world.live() == [("u1", {"a": 1})]
    assert client.get("/logout").status_code == 500
    assert world.live() == []
    assert client.get_cookie("session") is None
