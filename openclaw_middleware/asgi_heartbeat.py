"""The heartbeat over ASGI: read the call from the scope and its body, send the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .answers import Answer
from .core.steps import adrive
from .heartbeat_calls import MAX_BODY
from .runtime import Runtime

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def answer_heartbeat(runtime: Runtime, scope: Scope, receive: Receive) -> Answer | None:
    """The answer to a request to the heartbeat; None when it is the application's."""
    heartbeat = runtime.heartbeat
    if heartbeat is None:
        return None

    def header(wanted: str) -> str | None:
        name = wanted.encode("ascii")
        for each, value in scope["headers"]:
            if each == name:
                text: str = value.decode("latin-1")
                return text
        return None

    client = scope.get("client")
    call = heartbeat.call(
        scope["method"],
        scope["path"],
        scope.get("root_path", ""),
        scope.get("query_string", b"").decode("latin-1"),
        header,
        client[0] if client else None,
    )
    if call is None:
        return None
    answer = heartbeat.at_once(call)
    if answer is not None:
        return answer
    try:
        body = await _body(receive)
    except EOFError:
        return heartbeat.incomplete()
    if len(body) > MAX_BODY:
        return heartbeat.too_large()
    cookies = b"; ".join([value for name, value in scope["headers"] if name == b"cookie"])
    exchange = runtime.passive_exchange(cookies.decode("latin-1"))
    return await adrive(heartbeat.serve(runtime.asynchronous, exchange, call, body))


async def _body(receive: Receive) -> bytes:
    """The request's body, or so much of it that it is seen to be too large.

    Raises:
        EOFError: the client has left in the middle of it.
    """
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise EOFError
        body += message.get("body", b"")
        if len(body) > MAX_BODY or not message.get("more_body", False):
            return body


async def send_answer(answer: Answer, scope: Scope, send: Send) -> None:
    """Send a whole response of ours."""
    headers = [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in answer.headers]
    if answer.status not in (204, 304):
        headers.append((b"content-length", str(len(answer.body)).encode()))
    start = {"type": "http.response.start", "status": answer.status, "headers": headers}
    await send(start)
    body = b"" if scope.get("method") == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})
