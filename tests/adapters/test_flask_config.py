"""Flask's configuration as session settings: which key counts, and which key wins."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, session

from openclaw_middleware import ConfigurationError, SessionSettings
from openclaw_middleware.adapters.flask import OpenClaw
from openclaw_middleware.adapters.flask_config import settings_of
from tests.drivers.world import SECRET, World

from .flask_apps import cookies, make


def read(*, overrides: Any = None, **config: Any) -> SessionSettings:
    app = Flask("configured")
    app.config.update({"SECRET_KEY": SECRET, "OPENCLAW": {"STORE": "memory://"}, **config})
    return settings_of(app, **(overrides or {}))


def test_defaults_of_flask_are_not_the_projects_wish() -> None:
    settings = read()
    assert settings.cookie().name == "__Host-session"
    assert settings.cookie_secure
    assert settings.cookie_samesite == "lax"
    assert settings.identity_key == "_user_id"
    assert set(settings.policies) == set()
    assert settings.secret_key.get_secret_value() == SECRET


def test_what_the_project_set_counts() -> None:
    settings = read(
        SECRET_KEY_FALLBACKS=["o" + SECRET],
        SESSION_COOKIE_NAME="sid",
        SESSION_COOKIE_DOMAIN="example.com",
        SESSION_COOKIE_PATH="/shop",
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_PARTITIONED=True,
        PERMANENT_SESSION_LIFETIME=timedelta(days=1),
    )
    cookie = settings.cookie()
    assert (cookie.name, cookie.domain, cookie.path) == ("sid", "example.com", "/shop")
    assert (cookie.samesite, cookie.secure, cookie.partitioned) == ("Strict", True, True)
    assert [each.get_secret_value() for each in settings.secret_key_fallbacks] == ["o" + SECRET]
    permanent = settings.policies["permanent"]
    assert (permanent.idle, permanent.absolute) == (86400, 90 * 86400)
    assert permanent.persistent


def test_application_root_is_the_cookies_path_unless_that_is_set() -> None:
    assert read(APPLICATION_ROOT="/shop").cookie_path == "/shop"
    assert read(APPLICATION_ROOT="/shop", SESSION_COOKIE_PATH="/x").cookie_path == "/x"


def test_random_bytes_are_a_secret_key() -> None:
    assert len(read(SECRET_KEY=bytes(range(200, 232))).secret_key.get_secret_value()) == 64


def test_precedence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "openclaw_config.yaml"
    file.write_text("session:\n  cookie_name: from_yaml\n  namespace: from_yaml\n")
    config = {"SESSION_COOKIE_NAME": "from_flask", "SESSION_COOKIE_PATH": "/from_flask"}
    given = {"STORE": "memory://", "CONFIG_FILE": str(file)}
    settings = read(**config, OPENCLAW=given)
    assert settings.cookie_name == "from_yaml"
    assert settings.cookie_path == "/from_flask"
    settings = read(**config, OPENCLAW={**given, "COOKIE_NAME": "from_dict"})
    assert (settings.cookie_name, settings.namespace) == ("from_dict", "from_yaml")
    monkeypatch.setenv("OPENCLAW_SESSION__COOKIE_NAME", "from_environment")
    settings = read(**config, OPENCLAW={**given, "COOKIE_NAME": "from_dict"})
    assert settings.cookie_name == "from_environment"
    settings = read(**config, OPENCLAW=given, overrides={"cookie_name": "from_argument"})
    assert settings.cookie_name == "from_argument"
    assert settings.origins["cookie_path"] == "framework settings"


def test_prefixed_environment_of_flask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_SECRET_KEY", SECRET)
    monkeypatch.setenv("FLASK_OPENCLAW__STORE", "memory://")
    monkeypatch.setenv("FLASK_OPENCLAW__IDLE_TIMEOUT_MINUTES", "10")
    monkeypatch.setenv("FLASK_OPENCLAW__COOKIE_SECURE", "false")
    app = Flask("prefixed")
    app.config.from_prefixed_env()
    settings = settings_of(app)
    assert (settings.store, settings.idle_timeout) == ("memory://", 600)
    assert not settings.cookie_secure


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"OPENCLAW": {"STORE": "memory://", "IDLE_TIMOUT_MINUTES": 5}}, "IDLE_TIMEOUT_MINUTES"),
        ({"OPENCLAW": {"STORE": "memory://", "IDLE_TIMEOUT": 5}}, "IDLE_TIMEOUT_MINUTES"),
        ({"OPENCLAW": {}}, "store: is required"),
        ({"OPENCLAW": "memory://"}, "must be a dict such as"),
        ({"OPENCLAW_STORE": "memory://"}, r'OPENCLAW"\] = \{"STORE": \.\.\.\}'),
        ({"OPENCLAV": {"STORE": "x"}, "OPENCLAW": None}, "did you mean OPENCLAW"),
        ({"SECRET_KEY": "dev"}, "is shorter than 32 characters"),
        ({"SECRET_KEY": None}, "secret_key: is required"),
        ({"SESSION_COOKIE_HTTPONLY": False}, "remove the setting"),
        ({"PERMANENT_SESSION_LIFETIME": "1d"}, "timedelta or seconds"),
        ({"SESSION_COOKIE_SAMESITE": "Sometimes"}, "samesite"),
        ({"SESSION_COOKIE_NAME": "__Host-x", "SESSION_COOKIE_DOMAIN": "a.com"}, "__Host-"),
    ],
)
def test_what_is_wrong_is_named(config: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(**config)


def test_ready_sessions_and_single_settings_exclude_each_other() -> None:
    with pytest.raises(ConfigurationError, match="leave out cookie_name"):
        OpenClaw(sessions=SessionSettings.for_tests(), cookie_name="x")


def test_arguments_reach_the_application() -> None:
    app = Flask("arguments")
    app.config.update(SECRET_KEY=SECRET, OPENCLAW={"COOKIE_NAME": "lost"})
    OpenClaw(app, store="memory://", cookie_name="won")
    app.add_url_rule("/", view_func=lambda: str(session.update(a=1)))
    assert cookies(app.test_client().get("/"))[0].startswith("won=")


# -- permanent sessions


@pytest.mark.parametrize(
    ("config", "policy", "idle"),
    [({}, "remember", 14 * 86400), ({"PERMANENT_SESSION_LIFETIME": 600}, "permanent", 600)],
)
def test_permanent_session(config: Any, policy: str, idle: int) -> None:
    world = World()
    app = make(world, **config)

    @app.get("/on")
    def on() -> str:
        session.permanent = True
        session["a"] = 1
        assert session.permanent
        return ""

    @app.get("/off")
    def off() -> str:
        assert session.permanent
        session.permanent = False
        assert not session.permanent
        return ""

    app.add_url_rule("/", "page", lambda: f"{session.get('a')} {session.permanent}")
    client = app.test_client()
    assert "Max-Age=7776000" in cookies(client.get("/on"))[0]
    assert world.contents()[0]["policy"] == policy
    assert world.contents()[0]["ends"] == world.clock() + idle
    world.clock.advance(599)
    assert client.get("/").text == "1 True"
    [line] = cookies(client.get("/off"))
    assert "Max-Age" not in line
    assert client.get("/").text == "1 False"
    assert world.contents()[0]["policy"] == "default"


def test_permanent_alone_stores_nothing() -> None:
    world = World()
    app = make(world)

    @app.before_request
    def forever() -> None:
        session.permanent = True

    app.add_url_rule("/", view_func=lambda: "x")
    assert cookies(app.test_client().get("/")) == []
    assert world.live() == []
