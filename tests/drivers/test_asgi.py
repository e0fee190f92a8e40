"""The ASGI driver where an application leaves the usual path."""

from __future__ import annotations

from typing import Any

from openclaw_middleware import SessionSettings
from openclaw_middleware.asgi import SessionMiddleware

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
        await send({**START, "headers": [(b"x-user", str(scope["session"].user_id).encode())]})
        return
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
