"""Flask applications for the tests, on a scenario world's store and clock."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from openclaw_middleware.adapters.flask import OpenClaw
from openclaw_middleware.adapters.flask_config import settings_of
from openclaw_middleware.runtime import Runtime
from tests.drivers.world import SECRET, World

Shop = tuple[Flask, FlaskClient]


def make(world: World, around: Any = None, **config: Any) -> Flask:
    """An application configured the Flask way, whose store and clock are the world's; `around` is
    put around it before it has sessions."""
    app = Flask("shop", static_folder=None)
    if around is not None:
        app.wsgi_app = around(app.wsgi_app)  # type: ignore[method-assign]
    app.config.update(SECRET_KEY=SECRET, TESTING=True)
    app.config.update(config)
    given = {"STORE": world.store("sync"), "COOKIE_SECURE": False, **app.config.get("OPENCLAW", {})}
    app.config["OPENCLAW"] = given
    settings = settings_of(app)
    OpenClaw(app, sessions=Runtime(settings, desk=world.desk(settings)))
    return app


def cookies(response: Any) -> list[str]:
    """The `Set-Cookie` lines of a response."""
    found: list[str] = response.headers.getlist("Set-Cookie")
    return found
