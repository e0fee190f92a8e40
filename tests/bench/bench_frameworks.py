"""The rows of `bench_requests` for Starlette, Flask and Django: over each framework alone.

The bare application is the same one without sessions. Flask and Django are driven as WSGI,
Starlette as ASGI; no server and no test client is in between.
"""

from __future__ import annotations

import asyncio
from typing import Any

import django
from django.conf import settings as django_settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import re_path
from flask import Flask, request
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from openclaw_middleware import SessionManager
from openclaw_middleware.adapters.django import conf
from openclaw_middleware.adapters.flask import OpenClaw, get_manager
from openclaw_middleware.adapters.starlette import SessionMiddleware
from openclaw_middleware.runtime import Runtime
from openclaw_middleware.testing.clients import login
from tests.bench.bench_requests import Jar, act, asgi_time, rows, settings, wsgi_time

CALLS = {"memory": 400, "redis": 200}


def main(url: str, engine: str) -> None:
    """All rows of all three on one store."""
    asyncio.run(starlette(url, engine))
    flask(url, engine)
    in_django(url, engine)


def row(name: str, engine: str, label: str, bare: float, full: float) -> None:
    print(f"  {name:9} {engine:7} {label:10} bare {bare:7.2f}  added {full - bare:8.2f} µs")


def signed_in(app: Any) -> str:
    """The `Cookie` header of a visitor of this application."""
    jar = Jar(app)
    login(jar, "ada", name="Ada Lovelace", cart=[1, 2, 3])
    return jar.header


async def starlette(url: str, engine: str) -> None:
    async def endpoint(request: Request) -> Response:
        act(request.scope["path"], request.scope.get("session"))
        return PlainTextResponse("ok")

    routes = [Route("/{rest:path}", endpoint)]
    bare = Starlette(routes=routes)
    manager = SessionManager(settings(url))
    full = Starlette(routes=routes, middleware=[Middleware(SessionMiddleware, sessions=manager)])
    cookie = await asyncio.to_thread(signed_in, full)
    for label, path, header in rows(cookie):
        alone = await asgi_time(bare, path, header, CALLS[engine])
        row("starlette", engine, label, alone, await asgi_time(full, path, header, CALLS[engine]))
    await manager.runtime.asynchronous.store.close()
    manager.close()


def flask(url: str, engine: str) -> None:
    def make(sessions: bool) -> Flask:
        app = Flask("bench")
        if sessions:
            OpenClaw(app, settings(url))

        @app.get("/", defaults={"rest": ""})
        @app.get("/<rest>")
        def endpoint(rest: str) -> str:
            act(request.path, request.environ.get("openclaw.session"))
            return "ok"

        return app

    bare, full = make(False), make(True)
    for label, path, header in rows(signed_in(full)):
        alone = wsgi_time(bare, path, header, CALLS[engine])
        row("flask", engine, label, alone, wsgi_time(full, path, header, CALLS[engine]))
    get_manager(full).close()


def endpoint(request: HttpRequest) -> HttpResponse:
    act(request.path, getattr(request, "session", None))
    return HttpResponse("ok")


urlpatterns = [re_path("", endpoint)]


class Site:
    """A Django project as `Jar` wants an application: something with a runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime


def in_django(url: str, engine: str) -> None:
    if not django_settings.configured:
        django_settings.configure(
            ALLOWED_HOSTS=["localhost"],
            ROOT_URLCONF=__name__,
            SECRET_KEY="a key for this measurement, and for nothing else",
            SESSION_COOKIE_SECURE=False,
        )
        django.setup()
    ours = ["openclaw_middleware.adapters.django.middleware.SessionMiddleware"]
    with override_settings(MIDDLEWARE=[]):
        bare = WSGIHandler()
    with override_settings(MIDDLEWARE=ours, OPENCLAW={"STORE": url}):
        full = WSGIHandler()
        runtime = conf.runtime()
        for label, path, header in rows(signed_in(Site(runtime))):
            alone = wsgi_time(bare, path, header, CALLS[engine])
            row("django", engine, label, alone, wsgi_time(full, path, header, CALLS[engine]))
        SessionManager(runtime).close()
