"""Flask-Login, unchanged, on top: its sign-ins are ours."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from flask import Flask, session
from flask_login import (
    LoginManager,
    UserMixin,
    confirm_login,
    current_user,
    fresh_login_required,
    login_required,
    login_user,
    logout_user,
)

from openclaw_middleware import SessionSettings
from openclaw_middleware.adapters.flask import OpenClaw, current_session, get_manager
from openclaw_middleware.testing import login
from tests.drivers.world import World

from .flask_apps import make


class User(UserMixin):  # type: ignore[misc]  # the library has no types
    def __init__(self, name: str) -> None:
        self.id = name


@pytest.fixture
def world() -> World:
    return World()


def site(world: World, **config: Any) -> Flask:
    app = make(world, **config)
    manager = LoginManager(app)
    manager.user_loader(User)
    manager.login_view = manager.refresh_view = "/sign-in"

    @app.route("/login/<name>")
    def login(name: str) -> str:
        login_user(User(name))
        return "in"

    @app.route("/remember/<name>")
    def remember(name: str) -> str:
        login_user(User(name), remember=True)
        return "in"

    @app.route("/logout")
    @login_required
    def logout() -> str:
        logout_user()
        return "out"

    @app.route("/fresh")
    @fresh_login_required
    def fresh() -> str:
        return "fresh"

    @app.route("/confirm")
    def confirm() -> str:
        confirm_login()
        return ""

    @app.route("/cart/<thing>")
    def cart(thing: str) -> str:
        session.setdefault("cart", []).append(thing)
        return ""

    @app.route("/")
    @login_required
    def page() -> str:
        return f"{current_user.id} {current_session.user_id} {session.get('cart')}"

    return app


def test_sign_in_and_out(world: World) -> None:
    client = site(world).test_client()
    assert client.get("/").status_code == 302
    client.get("/cart/book")
    before = client.get_cookie("session").value
    client.get("/login/ada")
    token = client.get_cookie("session").value
    assert token != before
    assert client.get("/").text == "ada ada ['book']"
    [(user, data)] = world.live()
    assert user == "ada"
    assert "_user_id" not in data
    client.get("/logout")
    assert client.get_cookie("session").value != token
    assert client.get("/").status_code == 302
    thief = site(world).test_client()
    for old in (before, token):
        thief.set_cookie("session", old)
        assert thief.get("/").status_code == 302
    assert {user for user, _ in world.live()} == {None}


def test_signing_in_again_is_a_new_sign_in(world: World) -> None:
    app = site(world)
    client = app.test_client()
    client.get("/login/ada")
    client.get("/cart/book")
    before = client.get_cookie("session").value
    world.clock.advance(600)
    client.get("/login/ada")
    assert client.get_cookie("session").value != before
    assert client.get("/").text == "ada ada ['book']"
    with app.app_context():
        (only,) = get_manager().sessions_of("ada").items
    assert only.authenticated_at == pytest.approx(world.clock())
    client.set_cookie("session", before)
    assert client.get("/").status_code == 302


def test_pages_do_not_write(world: World) -> None:
    client = site(world).test_client()
    client.get("/login/ada")
    world.trips.reset()
    response = client.get("/")
    assert world.trips.trips == {"load": 1}
    assert "Set-Cookie" not in response.headers
    assert response.headers["Vary"] == "Cookie"


def test_other_user_gets_nothing_of_the_first(world: World) -> None:
    client = site(world).test_client()
    client.get("/login/ada")
    client.get("/cart/diary")
    client.get("/login/eve")
    assert client.get("/").text == "eve eve None"


def test_revoked_by_an_operator(world: World) -> None:
    app = site(world)
    client = app.test_client()
    client.get("/login/ada")
    with app.app_context():
        assert get_manager().revoke_user("ada") == 1
    assert client.get("/").status_code == 302


def test_signed_in_elsewhere(world: World) -> None:
    """By `login()` of another framework on the same store, which knows nothing of Flask-Login."""
    app = site(world)
    client = app.test_client()
    login(client, "ada")
    assert client.get("/").text == "ada ada None"
    assert client.get("/fresh").status_code == 302
    client.get("/logout")
    assert client.get("/").status_code == 302


def test_fresh_and_confirmed(world: World) -> None:
    client = site(world).test_client()
    client.get("/login/ada")
    assert client.get("/fresh").text == "fresh"
    client.get("/confirm")
    assert client.get("/fresh").text == "fresh"


def test_remember_cookie_of_flask_login_signs_in_anew(world: World) -> None:
    client = site(world).test_client()
    client.get("/remember/ada")
    client.delete_cookie("session")
    world.revoke()
    assert client.get("/").text == "ada ada None"
    assert client.get("/fresh").status_code == 302
    client.get("/logout")
    assert client.get("/").status_code == 302


def test_permanent_before_each_request_survives_the_sign_in(world: World) -> None:
    app = site(world, PERMANENT_SESSION_LIFETIME=3600)

    @app.before_request
    def forever() -> None:
        session.permanent = True

    client = app.test_client()
    response = client.get("/login/ada")
    assert "Max-Age=7776000" in response.headers["Set-Cookie"]
    world.trips.reset()
    client.get("/")
    assert world.trips.trips == {"load": 1}
    assert [each["policy"] for each in world.contents()] == ["permanent"]
    world.clock.advance(3599)
    assert client.get("/").text == "ada ada None"
    world.clock.advance(3600)
    assert client.get("/").status_code == 302


@pytest.mark.parametrize(
    "config", [{}, {"REMEMBER_COOKIE_NAME": "keep", "REMEMBER_COOKIE_PATH": "/"}]
)
def test_signing_out_in_the_dialog_forgets_flask_logins_cookie_too(
    world: World, config: dict[str, Any]
) -> None:
    client = site(world, OPENCLAW={"ENABLE_HEARTBEAT": True}, **config).test_client()
    client.get("/remember/ada")
    assert client.get("/").text == "ada ada None"
    answer = client.post("/_session/logout", headers={"X-Session-Client": "1"})
    assert answer.json is not None
    assert answer.json["reason"] == "signed_out"
    assert world.live() == []
    assert client.get("/").status_code == 302


def test_signing_out_in_an_outage_forgets_it_too(world: World) -> None:
    client = site(world, OPENCLAW={"ENABLE_HEARTBEAT": True}).test_client()
    client.get("/remember/ada")
    world.outage.down = True
    assert client.post("/_session/logout", headers={"X-Session-Client": "1"}).status_code == 503
    world.outage.down = False
    assert client.get("/").status_code == 302


def test_applications_of_one_deployment_are_forgotten_when_they_are_gone() -> None:
    """Whoever makes an application for each test, with the same settings, leaves none behind."""
    settings = SessionSettings.for_tests(enable_heartbeat=True)

    def make_one() -> Flask:
        app = Flask("one of many")
        LoginManager(app)
        OpenClaw(app, sessions=settings)
        return app

    apps = [make_one() for _ in range(3)]
    past = weakref.ref(make_one())
    gc.collect()
    assert past() is None
    headers = {"X-Session-Client": "1"}
    answer = apps[0].test_client().post("/_session/logout", headers=headers)
    assert len(answer.headers.getlist("Set-Cookie")) == 1
