"""Starlette's decorator, and areas through Starlette's own parts."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from openclaw_middleware import Policy, SessionSettings
from openclaw_middleware.adapters.starlette import SessionMiddleware, get_session, require_recent
from openclaw_middleware.testing import Clock, login, session_of
from openclaw_middleware.testing.clients import set_clock

PAGE = {"sec-fetch-dest": "document"}


@require_recent(300)
async def awaited(request: Request) -> Response:
    return PlainTextResponse(str(get_session(request).user_id))


@require_recent(300)
def called(request: Request) -> Response:
    return PlainTextResponse(str(request.session.user_id))  # type: ignore[attr-defined]


class Both(HTTPEndpoint):
    @require_recent(300)
    async def get(self, request: Request) -> Response:
        return PlainTextResponse("got")

    async def post(self, request: Request) -> Response:
        return PlainTextResponse("posted")


@require_recent(300)
async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


async def page(request: Request) -> Response:
    return PlainTextResponse(str(request.session.get("a")))


async def sign_in(request: Request) -> Response:
    session = get_session(request)
    if request.method == "GET":
        return PlainTextResponse(f"who? {session.user_id}")
    session.login("7")
    return PlainTextResponse("in")


@require_recent(300)
async def nothing_given() -> None: ...


async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(str(websocket.session.get("a")))
    await websocket.close()


class Looking(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        if "look" in request.query_params:
            request.session.get("a")
        return await call_next(request)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(clock: Clock) -> TestClient:
    return made(clock, "eager")


@pytest.fixture
def lazy(clock: Clock) -> TestClient:
    return made(clock, "lazy")


def made(clock: Clock, load: str, mount: str = "", **client: Any) -> TestClient:
    settings = SessionSettings.for_tests(
        policies={"strict": Policy(300, 3600)},
        policy_paths={f"{mount}/admin": "strict"},
        login_url=f"{mount}/sign-in",
    )
    set_clock(settings, clock)
    ours: Any = Middleware(SessionMiddleware, sessions=settings, load=load)
    app = Starlette(
        routes=[
            Route("/awaited", awaited),
            Route("/called", called),
            Route("/both", Both),
            Route("/sign-in", sign_in, methods=["GET", "POST"]),
            Route("/admin/direct", page),
            Mount("/admin", routes=[Route("/page", page), WebSocketRoute("/chat", chat)]),
            WebSocketRoute("/talk", talk),
        ],
        middleware=[ours, Middleware(Looking)],
    )
    return TestClient(app, follow_redirects=False, **client)


@pytest.mark.parametrize("path", ["/awaited", "/called"])
def test_functions(path: str, client: TestClient, clock: Clock) -> None:
    assert client.get(path).status_code == 401
    login(client, 7)
    assert client.get(path).text == "7"
    clock.advance(300)
    assert client.get(path).text == "7"
    clock.advance(1)
    assert client.get(path).status_code == 401
    assert client.get(path, headers=PAGE).headers["location"] == f"/sign-in?next={path}"
    assert session_of(client).user_id == "7"


def test_a_session_that_is_loaded_lazily(lazy: TestClient) -> None:
    assert lazy.get("/awaited").status_code == 401
    login(lazy, 7)
    assert lazy.get("/awaited").text == "7"


def test_methods(client: TestClient) -> None:
    assert client.get("/both").status_code == 401
    assert client.post("/both").text == "posted"
    login(client, 7)
    assert client.get("/both").text == "got"


def test_websockets(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("/talk"):
        pass
    assert refused.value.code == 3000
    login(client, 7)
    with client.websocket_connect("/talk") as socket:
        assert socket.receive_text() == "hello"


async def test_an_endpoint_without_a_request_is_told_so() -> None:
    with pytest.raises(TypeError, match="request or a WebSocket"):
        await nothing_given()


def test_an_area_of_a_mounted_application(client: TestClient, clock: Clock) -> None:
    login(client, 7, a=1)
    assert client.get("/admin/page").text == "1"
    clock.advance(301)
    assert client.get("/admin/page").status_code == 401
    sent = client.get("/admin/page?p=2", headers=PAGE)
    assert (sent.status_code, sent.headers["cache-control"]) == (303, "no-store")
    where = sent.headers["location"]
    assert where == "/sign-in?next=/admin/page%3Fp%3D2"
    assert client.get(where).text == "who? None"
    assert client.get("/sign-in").text == "who? 7"
    clock.advance(301)
    client.post(where)
    assert client.get("/admin/page").text == "1"


@pytest.mark.parametrize("root_path", ["/shop", "/shop/"])
@pytest.mark.parametrize("taken_away", [True, False])
def test_an_area_behind_a_proxy_that_takes_the_mount_away_or_leaves_it(
    root_path: str, taken_away: bool, clock: Clock
) -> None:
    client = made(clock, "eager", mount="/shop", root_path=root_path)
    login(client, 7, a=1)
    before = "" if taken_away or root_path == "/shop/" else "/shop"
    clock.advance(301)
    where = client.get(f"{before}/admin/direct", headers=PAGE).headers["location"]
    assert where == "/shop/sign-in?next=/shop/admin/direct"
    assert client.get(f"{before}{where.removeprefix('/shop')}").text == "who? None"


def test_a_middleware_that_looks_first(client: TestClient, clock: Clock) -> None:
    login(client, 7, a=1)
    clock.advance(301)
    assert client.get("/admin/page?look=1", headers=PAGE).status_code == 303


def test_a_socket_in_an_area(client: TestClient, clock: Clock) -> None:
    login(client, 7, a=1)
    with client.websocket_connect("/admin/chat") as socket:
        assert socket.receive_text() == "1"
    clock.advance(301)
    with client.websocket_connect("/admin/chat") as socket, pytest.raises(WebSocketDisconnect) as e:
        socket.receive_text()
    assert e.value.code == 3000
