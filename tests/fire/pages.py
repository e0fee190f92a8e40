"""A small site of its own for real servers: the same pages in Starlette and in Flask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from flask import Response as FlaskResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openclaw_middleware import Session
from openclaw_middleware.adapters import starlette as starlette_adapter
from openclaw_middleware.adapters.flask import OpenClaw
from openclaw_middleware.adapters.flask import get_session as flask_session
from tests.drivers.world import Reply

PUBLIC = (("Cache-Control", "public, max-age=600"),)
Get = Callable[[], Session]


def public(session: Get, name: str) -> Reply:
    return Reply(body='"everybody"', headers=PUBLIC)


def login(session: Get, name: str) -> Reply:
    session().login(name)
    session()["name"] = name
    return Reply(body=f'"{name}"')


def logout(session: Get, name: str) -> Reply:
    session().logout()
    return Reply(body='"bye"')


def me(session: Get, name: str) -> Reply:
    """A page with session data that says nothing about caches."""
    return Reply(body=f'"{session().get("name", "")}"')


def shared(session: Get, name: str) -> Reply:
    """A page with session data that the application believes to be public."""
    return Reply(body=f'"{session().get("name", "")}"', headers=PUBLIC)


def begin(session: Get, name: str) -> Reply:
    """A page that begins a session, and that the application believes to be public."""
    session()["name"] = name
    return Reply(body=f'"{name}"', headers=PUBLIC)


def pushed(session: Get, name: str) -> Reply:
    """The same, but it says so to nginx alone."""
    session()["name"] = name
    headers = (("X-Accel-Expires", "600"), ("Cache-Control", "private"))
    return Reply(body=f'"{name}"', headers=headers)


def count(session: Get, name: str) -> Reply:
    return Reply(body=str(session().apply("n", lambda n: n + 1, 0)))


def number(session: Get, name: str) -> Reply:
    return Reply(body=str(session().get("n", 0)))


_ALL = (public, login, logout, me, shared, begin, pushed, count, number)
PAGES = {each.__name__: each for each in _ALL}


def starlette_app(sessions: Any) -> Any:
    def endpoint(page: Callable[[Get, str], Reply]) -> Any:
        async def respond(request: Request) -> Response:
            name = request.path_params["name"]
            reply = page(lambda: starlette_adapter.get_session(request), name)
            return Response(reply.body, reply.status, dict(reply.headers))

        return respond

    routes = [Route(f"/{name}/{{name}}", endpoint(page)) for name, page in PAGES.items()]
    return starlette_adapter.SessionMiddleware(Starlette(routes=routes), sessions)


def flask_app(sessions: Any) -> Flask:
    app = Flask("pages", static_folder=None)
    OpenClaw(app, sessions=sessions)

    def view(page: Callable[[Get, str], Reply]) -> Any:
        def respond(name: str) -> FlaskResponse:
            reply = page(flask_session, name)
            return FlaskResponse(reply.body, reply.status, reply.headers)

        return respond

    for name, page in PAGES.items():
        app.add_url_rule(f"/{name}/<name>", name, view(page))
    return app
