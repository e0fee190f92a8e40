"""Flask's decorator, and areas through Flask's and Flask-Login's own parts."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask, session
from flask.typing import ResponseReturnValue
from flask.views import MethodView
from flask_login import (
    LoginManager,
    UserMixin,
    confirm_login,
    current_user,
    login_required,
    login_user,
    logout_user,
)
from werkzeug.middleware.proxy_fix import ProxyFix

from openclaw_middleware import ReauthenticationRequired
from openclaw_middleware.adapters.flask import current_session, require_recent
from openclaw_middleware.testing import login
from tests.drivers.world import World

from .flask_apps import cookies, make

PAGE = {"Sec-Fetch-Dest": "document"}
SITE = {
    "POLICIES": {"strict": {"IDLE_TIMEOUT_SECONDS": 300, "ABSOLUTE_TIMEOUT_SECONDS": 3600}},
    "POLICY_PATHS": {"/admin": "strict", "/admin/logout": "default"},
    "LOGIN_URL": "/sign-in",
}


class User(UserMixin):  # type: ignore[misc]  # the library has no types
    def __init__(self, name: str) -> None:
        self.id = name


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("first", [True, False])
def test_a_proxy_that_takes_the_mount_away(first: bool, world: World) -> None:
    """Whether `ProxyFix` was put on before the sessions or after them."""
    area = {**SITE, "POLICY_PATHS": {"/shop/admin": "strict"}, "LOGIN_URL": "/shop/sign-in"}

    def fix(inner: Any) -> Any:
        return ProxyFix(ProxyFix(inner, x_host=1), x_prefix=1)

    app = make(world, around=fix if first else None, OPENCLAW=area)
    if not first:
        app.wsgi_app = fix(app.wsgi_app)  # type: ignore[method-assign]
    app.add_url_rule("/admin/a", "a", lambda: str(session.get("a")))
    client = app.test_client()
    login(client, "ada", a=1)
    behind = {**PAGE, "X-Forwarded-Prefix": "/shop"}
    assert client.get("/admin/a", headers=behind).text == "1"
    world.clock.advance(301)
    sent = client.get("/admin/a", headers=behind)
    assert sent.headers["Location"] == "/shop/sign-in?next=/shop/admin/a"


def site(world: World, *, flask_login: bool = True, **config: Any) -> Flask:
    app = make(world, OPENCLAW=SITE, **config)
    if flask_login:
        manager = LoginManager(app)
        manager.user_loader(User)
        manager.login_view = "sign_in"
        manager.login_message = None

    @app.route("/pay")
    @require_recent(300)
    def pay() -> str:
        return "paid"

    @app.route("/apay")
    @require_recent(300)
    async def apay() -> str:
        return "paid"

    class Keys(MethodView):
        decorators = [require_recent(300)]  # noqa: RUF012  # as Flask documents it

        def get(self) -> str:
            return "keys"

    app.add_url_rule("/keys", view_func=Keys.as_view("keys"))

    @app.route("/sign-in", methods=["GET", "POST"])
    def sign_in() -> ResponseReturnValue:
        if current_user.is_authenticated:
            return f"on you go, {current_user.id}"
        from flask import request

        if request.method == "POST":
            login_user(User("ada"), remember="remember" in request.args)
            return "in"
        return "who?"

    @app.route("/admin/again", methods=["POST"])
    def again() -> str:
        login_user(User("ada"))
        return "again"

    @app.route("/confirm")
    def confirm() -> str:
        confirm_login()
        return "confirmed"

    @app.route("/admin/page")
    @login_required
    def page() -> str:
        return f"{current_user.id} {session.get('a')}"

    @app.route("/admin/plain")
    def plain() -> str:
        return str(session.get("a"))

    @app.route("/admin/logo")
    def logo() -> str:
        return "logo"

    @app.route("/admin/logout")
    @login_required
    def logout() -> str:
        logout_user()
        return "out"

    @app.route("/admin/leave")
    def leave() -> str:
        current_session.logout()
        return "left"

    @app.route("/home")
    @login_required
    def home() -> str:
        return "home"

    return app


@pytest.mark.parametrize("path", ["/pay", "/apay", "/keys"])
def test_views_of_all_kinds(world: World, path: str) -> None:
    client = site(world).test_client()
    assert client.get(path).status_code == 401
    login(client, "ada")
    assert client.get(path).status_code == 200
    world.clock.advance(301)
    answer = client.get(path)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Cookie realm="session", max_age="300"'
    assert client.get(path, headers=PAGE).location == f"/sign-in?next={path}"


def test_an_application_may_answer_itself(world: World) -> None:
    app = site(world)
    app.register_error_handler(ReauthenticationRequired, lambda error: (f"{error.max_age:g}", 403))
    answer = app.test_client().get("/pay")
    assert (answer.status_code, answer.text) == (403, "300")


def test_confirming_is_a_sign_in(world: World) -> None:
    client = site(world).test_client()
    client.post("/sign-in")
    world.clock.advance(301)
    assert client.get("/pay").status_code == 401
    client.get("/confirm")
    assert client.get("/pay").text == "paid"


@pytest.mark.parametrize("flask_login", [True, False])
def test_an_area_asks_and_says_so_without_noise(
    world: World, flask_login: bool, caplog: pytest.LogCaptureFixture
) -> None:
    client = site(world, flask_login=flask_login, TESTING=False).test_client()
    login(client, "ada", a=1)
    assert client.get("/admin/plain").text == "1"
    world.clock.advance(400)
    with caplog.at_level(logging.INFO):
        for path in ("/admin/plain", "/admin/page")[: 1 + flask_login]:
            assert client.get(path).status_code == 401
            sent = client.get(f"{path}?p=2", headers=PAGE)
            assert (sent.status_code, sent.location) == (303, f"/sign-in?next={path}%3Fp%3D2")
        assert client.get("/admin/logo").text == "logo"
    assert caplog.records == []
    assert world.live() == [("ada", {"a": 1})]


def test_hooks_after_a_refusal_do_not_meet_it_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = site(world, TESTING=False)
    seen: list[Any] = []

    @app.after_request
    def look(response: Any) -> Any:
        if response.status_code != 200:
            seen.append((session.get("a"), current_session.user_id))
        return response

    login(client := app.test_client(), "ada", a=1)
    world.clock.advance(400)
    with caplog.at_level(logging.INFO):
        assert client.get("/admin/plain").status_code == 401
    assert (seen, caplog.records) == ([(1, None)], [])


def test_the_way_through_the_sign_in_page(world: World) -> None:
    client = site(world).test_client()
    client.post("/sign-in")
    assert client.get("/admin/page").text == "ada None"
    world.clock.advance(400)
    way = client.get("/admin/page", headers=PAGE).location
    assert way is not None
    assert client.get(way).text == "who?"
    assert client.get("/sign-in").text == "on you go, ada"
    world.clock.advance(400)
    assert client.post(way).text == "in"
    assert client.get("/admin/page").text == "ada None"


def test_signing_in_and_out_within_the_area(world: World) -> None:
    client = site(world).test_client()
    login(client, "ada", a=1)
    world.clock.advance(400)
    assert client.post("/admin/again").text == "again"
    assert client.get("/admin/page").text == "ada 1"
    world.clock.advance(400)
    assert client.get("/admin/leave").text == "left"
    assert world.live() == []
    login(client, "ada")
    world.clock.advance(400)
    assert client.get("/admin/logout").text == "out"
    assert world.live() == []


def test_flask_logins_own_cookie_is_no_fresh_sign_in(world: World) -> None:
    client = site(world).test_client()
    assert client.post("/sign-in?remember").text == "in"
    assert client.get("/admin/page").text == "ada None"
    assert client.get("/pay").text == "paid"
    world.revoke()
    assert client.get("/admin/page", headers=PAGE).status_code in (302, 303)
    assert world.live() == [], "nor does it sign in within the area"
    assert client.get("/home").text == "home"
    assert [user for user, _ in world.live()] == ["ada"]
    assert client.get("/pay").status_code == 401
    way = client.get("/admin/page", headers=PAGE).location
    assert way is not None
    assert client.get(way).text == "who?"
    assert client.post(f"{way}&remember").text == "in"
    assert client.get("/admin/page").text == "ada None"
    assert client.get("/pay").text == "paid"


def test_remembering_from_within_an_area_keeps_its_cookie(world: World) -> None:
    app = site(world)

    @app.route("/admin/remember", methods=["POST"])
    def remember() -> str:
        login_user(User("ada"), remember=True)
        return "in"

    client = app.test_client()
    client.set_cookie("another", "1")
    answer = client.post("/admin/remember")
    (line,) = [each for each in cookies(answer) if each.startswith("remember_token=")]
    assert line.startswith("remember_token=ada|")
