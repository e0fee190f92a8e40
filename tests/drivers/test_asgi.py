"""The ASGI driver where an application leaves the usual path."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openclaw_middleware import SessionSettings
from openclaw_middleware.asgi import SessionMiddleware
from openclaw_middleware.stores.memory import AsyncMemoryStore
from openclaw_middleware.testing import Gate, wrap

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}


def scope_of(path: str, cookie: str = "") -> dict[str, Any]:
    headers = [(b"cookie", cookie.encode())] if cookie else []
    return {"type": "http", "method": "GET", "path": path, "headers": headers, "scheme": "https"}


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/in":
        scope["session"].login("ada")
    elif scope["path"] == "/leave":
        scope["session"].logout()
        return
    elif scope["path"] == "/who":
        user, note = str(scope["session"].user_id), scope["session"].get("note", "")
        await send({**START, "headers": [(b"x-user", user.encode()), (b"x-note", note.encode())]})
        return
    elif scope["path"] == "/note":
        scope["session"]["note"] = "kept"
    await send(START)


async def call(site: Any, path: str, cookie: str = "") -> dict[bytes, bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await site(scope_of(path, cookie), None, send)
    return dict(sent[0]["headers"]) if sent else {}


async def test_a_message_the_application_sends_again_carries_nobodys_cookie() -> None:
    """The application's own message is left alone: a constant one is sent to everybody."""
    site = SessionMiddleware(app, SessionSettings.for_tests())
    assert b"set-cookie" in await call(site, "/in")

    assert await call(site, "/public") == {}
    assert START["headers"] == []


async def test_a_logout_holds_when_no_response_is_ever_sent() -> None:
    """The client was gone: the application returned without answering."""
    site = SessionMiddleware(app, SessionSettings.for_tests())
    cookie = (await call(site, "/in"))[b"set-cookie"].decode().partition(";")[0]
    assert (await call(site, "/who", cookie))[b"x-user"] == b"ada"

    await call(site, "/leave", cookie)

    assert (await call(site, "/who", cookie))[b"x-user"] == b"None"


@pytest.mark.parametrize("path", ["/leave", "/note"])
async def test_a_commit_is_finished_though_its_request_is_cancelled(path: str) -> None:
    """The client hangs up, or the server gives up, in the middle of a store call."""
    gate = Gate("end" if path == "/leave" else "save")
    store = wrap(AsyncMemoryStore(), gate)
    site = SessionMiddleware(app, SessionSettings.for_tests(store=store))
    cookie = (await call(site, "/in"))[b"set-cookie"].decode().partition(";")[0]
    request = asyncio.create_task(call(site, path, cookie))
    await gate.reached()
    for _ in range(3):
        request.cancel()
        await asyncio.sleep(0)
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await request

    answer = await call(site, "/who", cookie)
    user, note = answer[b"x-user"], answer[b"x-note"]
    assert (user, note) == ((b"None", b"") if path == "/leave" else (b"ada", b"kept"))
