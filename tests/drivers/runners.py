"""Who runs the scenarios: one small class per driver or adapter, all listed in `RUNNERS`.

Everything a runner must know is said in `world.Runner`. A runner of a framework lives beside that
framework's tests and is added to the list at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, ClassVar, Literal

from flask import Flask, request, stream_with_context
from flask import Response as FlaskResponse
from werkzeug.test import EnvironBuilder, run_wsgi_app

from openclaw_middleware import StoreError, asgi, wsgi
from openclaw_middleware.adapters.flask import OpenClaw, get_session
from tests.adapters.django.runner import DjangoAsgiRunner, DjangoRunner

from .world import Call, Response, Runner, World, answer


class Wsgi:
    """A plain WSGI application in `openclaw_middleware.wsgi.SessionMiddleware`."""

    name = "wsgi"
    eager = False
    skips: ClassVar[dict[str, str]] = {}

    def __init__(self, world: World) -> None:
        self.app = wsgi.SessionMiddleware(self._application, world.runtime("sync"))

    def _application(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        reply = answer(environ["call"].handler, lambda: wsgi.get_session(environ))
        start_response(f"{reply.status} Answer", list(reply.headers))
        if reply.late is None:
            return [reply.body.encode()]
        return reply.chunks(wsgi.get_session(environ))

    def request(self, call: Call) -> Response:
        return wsgi_request(self.app, call)

    def close(self) -> None:
        pass


def wsgi_request(app: Any, call: Call, **environ: Any) -> Response:
    """Perform a call on a WSGI application as a server would: read it all, then close it."""
    built = EnvironBuilder(
        path=call.path, method=call.method, query_string=call.query, data=call.body or None
    ).get_environ()
    built.update({"HTTP_" + n.upper().replace("-", "_"): v for n, v in call.headers}, call=call)
    if call.cut:
        built["CONTENT_LENGTH"] = "15"
    built.update(environ)
    error: BaseException | None = None
    try:
        body, status, headers = run_wsgi_app(app, built)
        try:
            content = b"".join(body)
        finally:
            getattr(body, "close", lambda: None)()
    except Exception as raised:
        error = raised
        return Response(500, error=error)
    return Response(int(status[:3]), tuple((n.lower(), v) for n, v in headers), content)


class FlaskRunner:
    """A Flask application with `OpenClaw`."""

    name = "flask"
    eager = False
    skips: ClassVar[dict[str, str]] = {}

    def __init__(self, world: World) -> None:
        self.app = Flask("scenarios", static_folder=None)
        OpenClaw(self.app, sessions=world.runtime("sync"))
        for rule in ("/", "/<path:path>"):
            self.app.add_url_rule(rule, "view", self._view, methods=["GET", "POST"])

    def _view(self, path: str = "") -> FlaskResponse:
        reply = answer(request.environ["call"].handler, get_session)
        if reply.late is None:
            return FlaskResponse(reply.body, reply.status, reply.headers)
        body = stream_with_context(reply.chunks(get_session()))
        return FlaskResponse(body, reply.status, reply.headers)

    def request(self, call: Call) -> Response:
        return wsgi_request(self.app, call)

    def close(self) -> None:
        pass


class Asgi:
    """A plain ASGI application in `openclaw_middleware.asgi.SessionMiddleware`."""

    name = "asgi"
    load: Literal["eager", "lazy"] = "eager"
    skips: ClassVar[dict[str, str]] = {}

    def __init__(self, world: World) -> None:
        self.loop = asyncio.Runner()
        self.app = asgi.SessionMiddleware(self._application, world.runtime("async"), load=self.load)

    @property
    def eager(self) -> bool:
        return self.load == "eager"

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        handler = scope["call"].handler
        if handler is not None and self.load == "lazy":
            with suppress(StoreError):  # the handler meets it again
                await scope["session"].aload()
        reply = answer(handler, lambda: asgi.get_session(scope))
        headers = [(n.lower().encode(), v.encode("latin-1")) for n, v in reply.headers]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        for chunk in reply.chunks(scope.get("session")):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def request(self, call: Call) -> Response:
        return self.loop.run(asgi_request(self.app, call))

    def close(self) -> None:
        self.loop.close()


class AsgiLazy(Asgi):
    """The same with `load="lazy"`."""

    name = "asgi-lazy"
    load = "lazy"


async def asgi_request(app: Any, call: Call) -> Response:
    """Perform a call on an ASGI application as a server would."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": call.method,
        "path": call.path,
        "raw_path": call.path.encode(),
        "query_string": call.query.encode(),
        "root_path": "",
        "headers": [(n.encode(), v.encode("latin-1")) for n, v in _headers(call)],
        "client": ("127.0.0.1", 50000),
        "server": ("localhost", 80),
        "state": {},
        "call": call,
    }

    asked = 0

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        if call.cut:
            return {"type": "http.disconnect"}
        if asked > 1:  # a server has nothing more to say until the client leaves
            await asyncio.Event().wait()
        return {"type": "http.request", "body": call.body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    try:
        await app(scope, receive, send)
    except Exception as error:
        return Response(500, error=error)
    start = sent[0]
    headers = tuple((n.decode(), v.decode("latin-1")) for n, v in start["headers"])
    body = b"".join(each.get("body", b"") for each in sent[1:])
    return Response(start["status"], headers, body)


def _headers(call: Call) -> list[tuple[str, str]]:
    length = [("content-length", str(len(call.body)))] if call.body else []
    return [*call.headers, *length]


from .starlette_runners import FastAPIRunner, StarletteRunner  # noqa: E402  # they use the above

RUNNERS: list[Callable[[World], Runner]] = [
    Wsgi,
    Asgi,
    AsgiLazy,
    FlaskRunner,
    DjangoRunner,
    DjangoAsgiRunner,
    StarletteRunner,
    FastAPIRunner,
]
"""The first is what the others are compared with."""
