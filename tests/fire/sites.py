"""The same application in each framework, driven as servers drive it.

WSGI requests run in threads, ASGI requests are tasks of one event loop in a thread of its own, so
that the test itself stands outside and blocks. What a request does is handed in with it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ClassVar

from flask import Flask
from flask import Response as FlaskResponse
from flask import request as flask_request
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from werkzeug.test import EnvironBuilder, run_wsgi_app

from openclaw_middleware import AsyncSessionManager, SessionManager
from openclaw_middleware.adapters import starlette as starlette_adapter
from openclaw_middleware.adapters.flask import OpenClaw
from openclaw_middleware.adapters.flask import get_session as flask_session
from openclaw_middleware.core.steps import adrive, drive
from openclaw_middleware.runtime import Runtime
from tests.drivers.world import Reply

from .visits import COOKIE, PATIENCE, Answer, Handler, Visit, Visitor, steps


class Loop:
    """An event loop that runs in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="event loop")
        self._thread.start()

    def start(self, work: Awaitable[Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def tasks(self) -> set[str]:
        """The names of the tasks that run now."""

        async def look() -> set[str]:
            mine = asyncio.current_task()
            return {repr(task.get_coro()) for task in asyncio.all_tasks() if task is not mine}

        return self.start(look()).result(PATIENCE)

    def close(self) -> None:
        self.start(self.loop.shutdown_asyncgens()).result(PATIENCE)
        self.start(self.loop.shutdown_default_executor()).result(PATIENCE)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE)
        self.loop.close()


class Site:
    """One running application. `begin` sends a request, `visitor` is a browser."""

    kind: ClassVar[str]
    colour: ClassVar[str]
    runtime: Runtime

    def begin(self, handler: Handler | None, cookie: str | None, **call: Any) -> Future[Answer]:
        raise NotImplementedError

    def visitor(self) -> Visitor:
        return Visitor(self)

    def signed_in(self, user: object = "ada", **values: Any) -> Visitor:
        """A browser in which somebody has signed in."""
        from .visits import login

        visitor = self.visitor()
        visitor.ok(login(user, **values))
        return visitor

    def manage(self, verb: str, *args: Any, **keywords: Any) -> Any:
        """Call a verb of the manager."""
        return getattr(SessionManager(self.runtime), verb)(*args, **keywords)

    def close(self) -> None:
        raise NotImplementedError


class Threaded(Site):
    """A WSGI application; each request has a thread."""

    colour = "sync"
    app: Any

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._threads = ThreadPoolExecutor(128, thread_name_prefix="request")

    def begin(
        self, handler: Handler | None, cookie: str | None, path: str = "/", **headers: str
    ) -> Future[Answer]:
        environ = EnvironBuilder(path=path).get_environ()
        environ.update({f"HTTP_{name.upper()}": value for name, value in headers.items()})
        if cookie is not None:
            environ["HTTP_COOKIE"] = f"{COOKIE}={cookie}"
        environ["handler"] = handler
        return self._threads.submit(self._perform, environ)

    def _perform(self, environ: dict[str, Any]) -> Answer:
        began = time.monotonic()
        body, status, headers = run_wsgi_app(self.app, environ)
        try:
            content = b"".join(body)
        finally:
            getattr(body, "close", lambda: None)()
        found = tuple((name.lower(), value) for name, value in headers)
        return Answer(int(status[:3]), found, content, time.monotonic() - began)

    def close(self) -> None:
        self._threads.shutdown()
        self.runtime.blocking.store.close()


class FlaskSite(Threaded):
    """Flask on the blocking store."""

    kind = "flask"

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.app = Flask("fire", static_folder=None)
        OpenClaw(self.app, sessions=runtime)
        for rule in ("/", "/<path:path>"):
            self.app.add_url_rule(rule, "view", self._view)

    def _view(self, path: str = "") -> FlaskResponse:
        handler = flask_request.environ["handler"]
        reply = drive(steps(handler, lambda: Visit(flask_session(), False)))
        return FlaskResponse(reply.body, reply.status, reply.headers)


class Awaited(Site):
    """An ASGI application; each request is a task of one loop."""

    colour = "async"
    app: Any

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.loop = Loop()

    def begin(
        self, handler: Handler | None, cookie: str | None, path: str = "/", **headers: str
    ) -> Future[Answer]:
        found = [(name.replace("_", "-"), value) for name, value in headers.items()]
        if cookie is not None:
            found.append(("cookie", f"{COOKIE}={cookie}"))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in found],
            "client": ("127.0.0.1", 50000),
            "server": ("localhost", 80),
            "state": {},
            "handler": handler,
        }
        return self.loop.start(self._perform(scope))

    async def _perform(self, scope: dict[str, Any]) -> Answer:
        began = time.monotonic()
        sent: list[Any] = []
        over = asyncio.Event()
        requests = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Any:
            if requests:
                return requests.pop()
            await over.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(dict(message))

        try:
            await self.app(scope, receive, send)
        finally:
            over.set()
        headers = tuple((n.decode(), v.decode("latin-1")) for n, v in sent[0]["headers"])
        body = b"".join(each.get("body", b"") for each in sent[1:])
        return Answer(sent[0]["status"], headers, body, time.monotonic() - began)

    def manage(self, verb: str, *args: Any, **keywords: Any) -> Any:
        async def call() -> Any:
            return await getattr(AsyncSessionManager(self.runtime), verb)(*args, **keywords)

        return self.loop.start(call()).result(PATIENCE)

    def close(self) -> None:
        self.loop.start(self.runtime.asynchronous.store.close()).result(PATIENCE)
        self.loop.close()


class StarletteSite(Awaited):
    """Starlette on the asyncio store, with `async def` endpoints."""

    kind = "starlette"

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        routes = [Route("/{path:path}", self.endpoint)]
        sessions = Middleware(starlette_adapter.SessionMiddleware, sessions=runtime)
        self.app = Starlette(routes=routes, middleware=[sessions])

    @property
    def endpoint(self) -> Callable[..., Any]:
        async def endpoint(request: Request) -> Response:
            handler = request.scope["handler"]
            visit = starlette_adapter.get_session
            return _response(await adrive(steps(handler, lambda: Visit(visit(request), True))))

        return endpoint


class StarletteDefSite(StarletteSite):
    """Starlette on the asyncio store, with `def` endpoints in its thread pool."""

    kind = "starlette-def"

    @property
    def endpoint(self) -> Callable[..., Any]:
        def endpoint(request: Request) -> Response:
            handler = request.scope["handler"]
            visit = starlette_adapter.get_session
            return _response(drive(steps(handler, lambda: Visit(visit(request), False))))

        return endpoint


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, dict(reply.headers))
