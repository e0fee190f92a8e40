"""An application with sockets and streams behind our middleware, on a real uvicorn in a thread.

`Site` starts it, opens sockets to it and knows what its event loop is busy with. The pages sign in
and out; the socket echoes and stores; the stream tells the time.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.sync.client import ClientConnection, connect

from openclaw_middleware import SessionManager
from openclaw_middleware.adapters.starlette import SessionMiddleware, get_session
from openclaw_middleware.runtime import Runtime

PATIENCE = 20.0
SOON = 4.0
"""Seconds within which a busy machine gets to what is done at once. Not by the next round of
questions: where a test asks for that, the poll interval is many times as long."""


async def act(request: Request) -> Response:
    """`/act/<what>`: do something with the session; answers its id and its data."""
    session = get_session(request)
    match request.path_params["what"]:
        case "in":
            session.login(request.query_params["user"], policy=request.query_params.get("policy"))
            session["n"] = 0
        case "out":
            session.logout()
        case "again":
            session.login(session.user_id)
        case "regenerate":
            session.regenerate()
        case "others":
            session.logout_others()
        case "everywhere":
            session.logout_everywhere()
        case "visit":
            session["visited"] = True
    return JSONResponse([session.id, session.to_dict()])


class Pages:
    """The application; `log` tells what its sockets and streams saw."""

    def __init__(self) -> None:
        self.log: list[Any] = []

    async def socket(self, websocket: WebSocket) -> None:
        session = get_session(websocket)
        session.get("n")
        await websocket.accept()
        await websocket.send_json(session.id)
        try:
            while True:
                message = await websocket.receive_json()
                match message:
                    case ["set", key, value]:
                        session[key] = value
                    case ["save"]:
                        await session.asave()
                    case ["out"]:
                        session.logout()
                        await session.asave()
                await websocket.send_json(message)
        except WebSocketDisconnect as gone:
            self.log.append(("socket", gone.code, gone.reason))

    async def careless(self, websocket: WebSocket) -> None:
        """Does not expect anybody to leave."""
        get_session(websocket).get("n")
        await websocket.accept()
        while True:
            await websocket.send_json(await websocket.receive_json())

    async def broadcast(self, websocket: WebSocket) -> None:
        """Only sends."""
        get_session(websocket).get("n")
        await websocket.accept()
        while True:
            await websocket.send_json("tick")
            await asyncio.sleep(0.02)

    async def deaf(self, websocket: WebSocket) -> None:
        """Neither receives nor sends."""
        get_session(websocket).get("n")
        await websocket.accept()
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            self.log.append("cancelled")
            raise

    async def indifferent(self, websocket: WebSocket) -> None:
        """Does not care for the session."""
        await websocket.accept()
        await websocket.send_json(await websocket.receive_json())

    async def events(self, request: Request) -> Response:
        get_session(request).get("n")
        pause = float(request.query_params.get("pause", "0.02"))

        async def tell() -> AsyncIterator[str]:
            try:
                while True:
                    yield "data: tick\n\n"
                    await asyncio.sleep(pause)
            finally:
                self.log.append("stream left")

        # nginx keeps what is sent until there is more of it, unless it is told
        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(tell(), media_type="text/event-stream", headers=headers)

    async def rows(self, request: Request) -> Response:
        """A stream that is no event stream; with `?length`, one of known length."""
        get_session(request).get("n")

        async def tell() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b"row\n"
                await asyncio.sleep(0.02)

        headers = {"content-length": "400"} if "length" in request.query_params else {}
        return StreamingResponse(tell(), media_type="text/csv", headers=headers)

    def app(self, runtime: Runtime) -> Starlette:
        sockets = ("socket", "careless", "broadcast", "deaf", "indifferent")
        routes = [
            Route("/act/{what}", act),
            Route("/events", self.events),
            Route("/rows", self.rows),
            *(WebSocketRoute(f"/{name}", getattr(self, name)) for name in sockets),
            WebSocketRoute("/poll/socket", self.socket),
        ]
        return Starlette(routes=routes, middleware=[Middleware(SessionMiddleware, runtime)])


class Site:
    """A served application and its visitors."""

    def __init__(self, runtime: Runtime, app: Any = None) -> None:
        self.runtime = runtime
        self.pages = Pages()
        self.manager = SessionManager(runtime)
        self.cookie_name = runtime.desk.cookie.name
        config = uvicorn.Config(
            app or self.pages.app(runtime),
            port=0,
            log_level="warning",
            log_config=None,
            lifespan="off",
        )
        self._server = uvicorn.Server(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            await self._server.serve()

        asyncio.run(main())

    def __enter__(self) -> Site:
        self._thread.start()
        until(lambda: self._server.started)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    # -- visitors

    def get(self, path: str, cookie: str | None = None) -> tuple[Any, str | None]:
        """A page; its JSON and the cookie afterwards."""
        wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        wire.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        response = wire.getresponse()
        body = response.read()
        wire.close()
        assert response.status == 200, (response.status, body)
        for line in response.headers.get_all("set-cookie") or ():
            cookie = line.partition(";")[0]
        return json.loads(body), cookie

    def sign_in(self, user: str) -> tuple[str, str]:
        """The id and cookie of a new session."""
        (session_id, _), cookie = self.get(f"/act/in?user={user}")
        assert cookie is not None
        return session_id, cookie

    def socket(
        self, cookie: str, path: str = "/socket", *, watched: bool = True
    ) -> ClientConnection:
        """An open socket; the session is being watched unless that is not wanted."""
        held = len(self.watch._held)
        socket = connect(
            f"ws://127.0.0.1:{self.port}{path}",
            additional_headers={"Cookie": cookie},
            open_timeout=PATIENCE,
            ping_interval=None,
        )
        if watched:
            until(lambda: len(self.watch._held) > held and self.at_ease)
        return socket

    @contextmanager
    def stream(self, cookie: str, path: str = "/events") -> Iterator[http.client.HTTPResponse]:
        """A streaming response, with its head read; the session is being watched."""
        held = len(self.watch._held)
        wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        wire.request("GET", path, headers={"Cookie": cookie})
        try:
            response = wire.getresponse()
            if "length" not in path:
                until(lambda: len(self.watch._held) > held and self.at_ease)
            yield response
        finally:
            wire.close()

    # -- the event loop

    @property
    def watch(self) -> Any:
        """The watch of the server's event loop."""
        watch = self.call(self._watch())
        return watch

    async def _watch(self) -> Any:
        return self.runtime.watch()

    @property
    def at_ease(self) -> bool:
        """Everything is watched, heard of where that is possible, and nothing waits."""
        watch = self.watch
        hears = watch._hearing.hears or not watch._store.capabilities.announces
        return hears and not watch._hinted and not watch._round

    @property
    def tasks(self) -> list[asyncio.Task[Any]]:
        """The tasks of the watch and of its farewells."""
        assert self._loop is not None
        names = ("Watch.", "Hearing.", "Line.", "listen")
        return [
            task
            for task in asyncio.all_tasks(self._loop)
            if any(name in str(task.get_coro()) for name in names)
        ]

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something in the server's event loop."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)


def until(true: Callable[[], object], patience: float = PATIENCE) -> float:
    """Wait until something is true; the seconds it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < patience, "it never became true"
        time.sleep(0.002)
    return time.monotonic() - began
