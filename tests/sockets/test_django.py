"""Django: Channels consumers behind the ASGI middleware, and Django's own streaming responses."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any, ClassVar

import pytest

import tests.adapters.django.configured  # noqa: F401  # before anything of Django's

# isort: split
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path

from openclaw_middleware.adapters.django import conf
from openclaw_middleware.adapters.django.deployment import Deployment
from openclaw_middleware.asgi import SessionMiddleware, get_session
from tests.fresh import namespace
from tests.sockets.site import SOON, Site, until
from tests.sockets.test_endings import calm, closing

pytestmark = pytest.mark.filterwarnings("error")

LOG: list[Any] = []


class Talk(AsyncWebsocketConsumer):
    """As in Channels' own tutorial, with our session in the scope."""

    async def connect(self) -> None:
        self.session = get_session(self.scope)
        assert self.scope["session"] is self.session
        if self.session.user_id is None:
            await self.close()
            return
        await self.accept()
        await self.send(self.session.id)

    async def receive(self, text_data: str = "", bytes_data: bytes | None = None) -> None:
        self.session["said"] = text_data
        await self.session.asave()
        await self.send(text_data)

    async def disconnect(self, code: int) -> None:
        LOG.append(code)


class Blocking(WebsocketConsumer):
    """Runs in a thread; reads the session that was loaded for it."""

    def connect(self) -> None:
        self.accept()
        self.send(get_session(self.scope).user_id or "")

    def disconnect(self, code: int) -> None:
        LOG.append(code)


async def enter(request: HttpRequest, what: str) -> HttpResponse:
    session: Any = request.session
    await session.aload()
    if what == "in":
        session.login("ada")
    elif what == "out":
        session.logout()
    return JsonResponse([session.session_key, dict(session)], safe=False)


async def events(request: HttpRequest) -> HttpResponse:
    session: Any = request.session
    await session.aload()
    assert session.user_id == "ada"

    async def tell() -> AsyncIterator[str]:
        try:
            while True:
                yield "data: tick\n\n"
                await asyncio.sleep(float(request.GET.get("pause", "0.02")))
        finally:
            LOG.append("stream left")

    response = StreamingHttpResponse(tell(), content_type="text/event-stream")
    if "length" in request.GET:
        response["Content-Length"] = "24"
    return response


async def reading(request: HttpRequest, pause: str) -> HttpResponse:
    """A stream that notes how far it has come, and that it has been left."""
    session: Any = request.session
    await session.aload()

    async def tell() -> AsyncIterator[str]:
        try:
            yield "data: tick\n\n"
            session["read"] = 1
            await asyncio.sleep(float(pause))
            while True:
                yield "data: tick\n\n"
                await asyncio.sleep(0.01)
        finally:
            session["left"] = True
            LOG.append("stream left")

    return StreamingHttpResponse(tell(), content_type="text/event-stream")


class Urls:
    urlpatterns: ClassVar = [
        path("act/<what>", enter),
        path("events", events),
        path("reading/<pause>", reading),
    ]


@pytest.fixture
def site() -> Iterator[Site]:
    """A project on ASGI: its pages by Django, its sockets by Channels, one deployment."""
    LOG.clear()
    middleware = ["openclaw_middleware.adapters.django.middleware.SessionMiddleware"]
    with ExitStack() as stack:
        stack.enter_context(
            override_settings(
                MIDDLEWARE=middleware,
                ROOT_URLCONF=Urls,
                OPENCLAW={
                    "STORE": "memory://",
                    "NAMESPACE": namespace(),
                    "SOCKET_POLL_INTERVAL_SECONDS": 60,
                    "STORE_TIMEOUT_SECONDS": 5,
                },
                SESSION_COOKIE_SECURE=False,
            )
        )
        deployment = stack.enter_context(conf.using(Deployment(conf.load_settings())))
        sockets = URLRouter([path("talk", Talk.as_asgi()), path("blocking", Blocking.as_asgi())])
        app = ProtocolTypeRouter(
            {"http": ASGIHandler(), "websocket": SessionMiddleware(sockets, deployment)}
        )
        yield stack.enter_context(Site(deployment, app))


def sign_in(site: Site) -> tuple[str, str]:
    (session_id, _), cookie = site.get("/act/in")
    assert cookie is not None
    return session_id, cookie


@pytest.mark.parametrize("way", ["out", "revoke"])
def test_a_consumer_loses_its_socket_with_the_session(site: Site, way: str) -> None:
    session_id, cookie = sign_in(site)
    with site.socket(cookie, "/talk") as socket:
        assert socket.recv() == session_id
        socket.send("hello")
        assert socket.recv() == "hello"
        (_, data), _ = site.get("/act/look", cookie)
        assert data["said"] == "hello"
        if way == "out":
            site.get("/act/out", cookie)
        else:
            site.manager.revoke(session_id)
        began = time.monotonic()
        assert closing(socket) == (4401, "signed_out" if way == "out" else "revoked")
        assert time.monotonic() - began < SOON
    calm(site)
    assert LOG == [4401]


def test_a_blocking_consumer(site: Site) -> None:
    session_id, cookie = sign_in(site)
    with site.socket(cookie, "/blocking") as socket:
        assert socket.recv() == "ada"
        site.manager.revoke(session_id)
        assert closing(socket) == (4401, "revoked")
    calm(site)
    until(lambda: LOG == [4401])


@pytest.mark.parametrize("pause", ["0.02", "20"], ids=["busy", "silent"])
def test_an_event_stream_of_django_ends_with_an_event(
    site: Site, pause: str, caplog: pytest.LogCaptureFixture
) -> None:
    session_id, cookie = sign_in(site)
    with site.stream(cookie, f"/events?pause={pause}") as response:
        site.manager.revoke(session_id)
        began = time.monotonic()
        body = response.read()
        assert time.monotonic() - began < SOON
        assert body.startswith(b"data: tick\n\n")
        assert body.endswith(b'event: session-ended\ndata: {"reason": "revoked"}\n\n')
    calm(site)
    until(lambda: LOG == ["stream left"])
    assert caplog.records == []


def test_a_client_that_leaves_lets_go(site: Site) -> None:
    _, cookie = sign_in(site)
    with site.stream(cookie) as response:
        assert response.readline() == b"data: tick\n"
    calm(site)
    until(lambda: LOG == ["stream left"])
    assert json.dumps(site.get("/act/look", cookie)[0])


@pytest.mark.parametrize("pause", ["0", "20"], ids=["while it sends", "while it waits"])
def test_what_a_stream_changed_is_saved_when_its_client_leaves(site: Site, pause: str) -> None:
    """That is how most of them end."""
    _, cookie = sign_in(site)
    with site.stream(cookie, f"/reading/{pause}") as response:
        assert response.readline() == b"data: tick\n"
    until(lambda: site.get("/act/look", cookie)[0][1] == {"read": 1, "left": True})
    calm(site)


def test_a_stream_of_known_length_is_left_alone(site: Site) -> None:
    session_id, cookie = sign_in(site)
    with site.stream(cookie, "/events?pause=1&length") as response:
        site.manager.revoke(session_id)
        assert response.read() == b"data: tick\n\n" * 2
