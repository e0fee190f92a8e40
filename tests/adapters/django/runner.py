"""Django in the table of scenarios: the middleware under Django's WSGI and ASGI handlers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from typing import Any, ClassVar

from . import configured  # noqa: F401  # before anything of Django's

# isort: split
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import re_path

from openclaw_middleware import SessionSettings, StoreError
from openclaw_middleware.adapters.django import conf, get_session
from openclaw_middleware.adapters.django.deployment import Deployment
from tests.drivers.world import Call, Reply, Response, World, answer

MIDDLEWARE = ["openclaw_middleware.adapters.django.middleware.SessionMiddleware"]


def view(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    reply = answer(request.environ["call"].handler, lambda: get_session(request))
    if reply.late is None:
        return HttpResponse(reply.body, status=reply.status, headers=dict(reply.headers))
    return StreamingHttpResponse(
        reply.chunks(request.session), status=reply.status, headers=dict(reply.headers)
    )


async def aview(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    handler = request.scope["call"].handler
    if handler is not None:
        with suppress(StoreError):  # the handler meets it again
            await request.session.aload()
    reply = answer(handler, lambda: get_session(request))
    if reply.late is None:
        return HttpResponse(reply.body, status=reply.status, headers=dict(reply.headers))
    return StreamingHttpResponse(
        _chunks(reply, request.session), status=reply.status, headers=dict(reply.headers)
    )


async def _chunks(reply: Reply, session: Any) -> AsyncIterator[bytes]:
    for chunk in reply.chunks(session):
        yield chunk


class _Plain:
    urlpatterns: ClassVar = [re_path("", view)]


class _Awaited:
    urlpatterns: ClassVar = [re_path("", aview)]


class DjangoRunner:
    """Django's WSGI handler with our middleware."""

    name = "django"
    eager = False
    colour = "sync"
    urls: Any = _Plain
    skips: ClassVar[dict[str, str]] = {}

    def __init__(self, world: World) -> None:
        self._open = ExitStack()
        settings = SessionSettings.for_tests(**{**world.options, "store": world.store(self.colour)})
        deployment = Deployment(settings, desk=world.desk(settings))
        self._open.enter_context(
            override_settings(
                MIDDLEWARE=MIDDLEWARE, ROOT_URLCONF=self.urls, AUTH_USER_MODEL="project.Person"
            )
        )
        self._open.enter_context(conf.using(deployment))
        self.set_up()

    def set_up(self) -> None:
        self.app = WSGIHandler()

    def request(self, call: Call) -> Response:
        from tests.drivers.runners import wsgi_request

        return wsgi_request(self.app, call)

    def close(self) -> None:
        self._open.close()


class DjangoAsgiRunner(DjangoRunner):
    """Django's ASGI handler with our middleware and an async view."""

    name = "django-asgi"
    colour = "async"
    urls = _Awaited

    def set_up(self) -> None:
        self.loop = self._open.enter_context(asyncio.Runner())
        self.asgi = ASGIHandler()

    def request(self, call: Call) -> Response:
        from tests.drivers.runners import asgi_request

        return self.loop.run(asgi_request(self._until_sent, call))

    async def _until_sent(self, scope: Any, receive: Any, send: Any) -> None:
        """Django waits for the client to leave while it answers: it leaves when all was sent."""
        sent = asyncio.Event()
        asked = 0

        async def receive_once() -> Any:
            nonlocal asked
            asked += 1
            if asked == 1:
                return await receive()
            await sent.wait()
            return {"type": "http.disconnect"}

        async def send_and_tell(message: Any) -> None:
            await send(message)

        try:
            await self.asgi(scope, receive_once, send_and_tell)
        finally:
            sent.set()
