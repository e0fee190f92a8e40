"""The small parts of sockets and streams, without a server."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from openclaw_middleware import (
    AsyncSessionManager,
    EndReason,
    Policy,
    ResponseStarted,
    SessionSettings,
)
from openclaw_middleware.asgi import SessionMiddleware, get_session
from openclaw_middleware.core.events import ChangesDropped
from openclaw_middleware.holding import Holding, last_words
from openclaw_middleware.interruption import Interruption
from openclaw_middleware.testing.clients import login, session_of
from tests.architecture import ROOT
from tests.core.lab import Lab

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize(
    ("kind", "encoding", "sent", "said"),
    [
        ("text/event-stream", "", b"data: 1\n\n", True),
        ("text/event-stream; charset=utf-8", None, b"data: 1\r\n\r\n", True),
        ("text/event-stream", "", b"", True),
        ("text/event-stream", "", b"data: 1\n", False),
        ("text/event-stream", "gzip", b"data: 1\n\n", False),
        ("text/plain", "", b"text\n\n", False),
        ("", "", b"", False),
    ],
)
def test_last_words(kind: str, encoding: str | None, sent: bytes, said: bool) -> None:
    words = last_words(EndReason.IDLE, kind, encoding, sent)
    assert words == (b'event: session-ended\ndata: {"reason": "idle"}\n\n' if said else b"")


class Watched:
    """Stands in for the watch: what it was told of a holder."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def watch(self) -> Watched:
        return self

    def join(self, holder: object, record: object, now: float, *, used: bool) -> None:
        self.told.append(("join", used))

    def use(self, holder: object) -> None:
        self.told.append("use")


@pytest.mark.parametrize(("away", "told"), [(0, [("join", True), "use"]), (400, [("join", False)])])
async def test_nobody_stays_in_an_area_that_asks_by_talking(away: float, told: list[Any]) -> None:
    lab = Lab(policies={"strict": Policy(300, 3600)}, policy_paths={"/": "strict"})
    browser = lab.browser()
    browser.sign_in("ada")
    lab.clock.advance(away)
    request = browser.request(area=lab.desk.rules.areas.of("/"))
    request.x.accessed = True
    watched: Any = Watched()
    holding = Holding(watched, request.x, lambda reason: None)
    holding._started()
    holding.use()
    assert watched.told == told


class TestInterruption:
    async def wait(self, *, swallow: bool = False) -> str:
        self.wait_for = Interruption(asyncio.current_task())
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            if not swallow and not self.wait_for.clear():
                raise
        self.wait_for.clear()
        await asyncio.sleep(0)
        return "went on"

    async def test_only_the_wait_ends(self) -> None:
        task = asyncio.ensure_future(self.wait())
        await asyncio.sleep(0)
        self.wait_for.now()
        self.wait_for.now()
        assert await task == "went on"
        assert task.cancelling() == 0

    async def test_a_cancellation_from_elsewhere_goes_through(self) -> None:
        task = asyncio.ensure_future(self.wait())
        await asyncio.sleep(0)
        self.wait_for.now()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_one_that_was_swallowed_leaves_nothing_behind(self) -> None:
        task = asyncio.ensure_future(self.wait(swallow=True))
        await asyncio.sleep(0)
        self.wait_for.now()
        assert await task == "went on"
        assert task.cancelling() == 0


class Bare:
    """A plain ASGI application, its socket, and a server made of queues."""

    def __init__(self, talk: Any, **settings: Any) -> None:
        self.settings = SessionSettings.for_tests(**settings)
        self.events: list[Any] = []
        self.manager = AsyncSessionManager(self.settings, listeners=[self.events.append])
        self.app = SessionMiddleware(talk, self.manager)
        self.received: asyncio.Queue[Any] = asyncio.Queue()
        self.sent: asyncio.Queue[Any] = asyncio.Queue()

    async def sign_in(self) -> tuple[str, bytes]:
        found: dict[str, Any] = {}

        async def enter(scope: Any, receive: Any, send: Any) -> None:
            get_session(scope).login("ada")
            await send({"type": "http.response.start", "status": 200, "headers": []})
            found["id"] = get_session(scope).id
            await send({"type": "http.response.body"})

        async def send(message: Any) -> None:
            for name, value in message.get("headers", ()):
                if name == b"set-cookie":
                    found["cookie"] = value.partition(b";")[0]

        scope = {"type": "http", "path": "/", "method": "GET", "headers": []}
        await SessionMiddleware(enter, self.manager)(scope, self.received.get, send)
        return found["id"], found["cookie"]

    async def open(self, cookie: bytes) -> asyncio.Task[None]:
        scope = {"type": "websocket", "path": "/", "headers": [(b"cookie", cookie)]}
        task = asyncio.ensure_future(self.app(scope, self.received.get, self.sent.put))
        self.received.put_nowait({"type": "websocket.connect"})
        assert (await self.sent.get())["type"] == "websocket.accept"
        while not self.manager.runtime.watch()._hearing.hears:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return task


async def test_changes_not_saved_are_dropped_with_an_event_and_a_logout_is_done() -> None:
    """As of a request that failed: what narrows still happens."""
    left: list[bool] = []

    async def talk(scope: Any, receive: Any, send: Any) -> None:
        session = get_session(scope)
        session["n"] = 0
        await receive()
        await send({"type": "websocket.accept"})
        assert (await receive())["type"] == "websocket.receive"
        session["n"] = 1
        session.logout_others()
        message = await receive()
        assert (message["type"], message["code"], message["reason"]) == (
            "websocket.disconnect",
            4401,
            "revoked",
        )
        assert (await receive())["type"] == "websocket.disconnect"  # and so it stays
        with pytest.raises(OSError, match="the session is over: revoked"):
            await send({"type": "websocket.send", "text": "too late"})
        await send({"type": "websocket.close"})  # harmless
        left.append(True)

    bare = Bare(talk, on_ended="error")
    session_id, cookie = await bare.sign_in()
    other_id, _ = await bare.sign_in()
    task = await bare.open(cookie)
    bare.received.put_nowait({"type": "websocket.receive", "text": "x"})
    await asyncio.sleep(0.05)
    assert await bare.manager.revoke(session_id)
    async with asyncio.timeout(5):
        assert await bare.sent.get() == {
            "type": "websocket.close",
            "code": 4401,
            "reason": "revoked",
        }
        await task
    assert bare.sent.empty()
    assert left  # by itself, not cut off
    assert await bare.manager.get(other_id) is None
    dropped = [event for event in bare.events if isinstance(event, ChangesDropped)]
    assert [event.keys for event in dropped] == [("n",)]


async def test_after_the_start_nothing_is_begun_that_needs_a_cookie() -> None:
    refused: list[str] = []

    async def talk(scope: Any, receive: Any, send: Any) -> None:
        session = get_session(scope)
        await receive()
        await send({"type": "websocket.accept"})
        for verb, arguments in (("login", ["bob"]), ("regenerate", [])):
            try:
                getattr(session, verb)(*arguments)
            except ResponseStarted:
                refused.append(verb)
        session["n"] = 1
        await session.asave()
        await receive()

    bare = Bare(talk)
    session_id, cookie = await bare.sign_in()
    task = await bare.open(cookie)
    bare.received.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await task
    assert refused == ["login", "regenerate"]
    async with bare.manager.open(session_id) as session:
        assert session["n"] == 1


async def test_an_application_that_reads_nothing_any_more_is_cut_off_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client takes nothing, so the application hangs in `send`; it is gone all the same."""
    monkeypatch.setattr("openclaw_middleware.asgi_sockets.PARTING", 0.2)
    full = asyncio.Event()

    async def talk(scope: Any, receive: Any, send: Any) -> None:
        assert get_session(scope).user_id == "ada"
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "much"})

    bare = Bare(talk)
    session_id, cookie = await bare.sign_in()
    sent = bare.sent.put

    async def put(message: Any) -> None:
        await sent(message)
        if message["type"] == "websocket.send":
            full.set()
            await asyncio.sleep(60)

    bare.sent.put = put  # type: ignore[method-assign]
    task = await bare.open(cookie)
    await full.wait()
    await bare.manager.revoke(session_id)
    async with asyncio.timeout(5):
        await task
        assert (await bare.sent.get())["type"] == "websocket.send"
        assert (await bare.sent.get())["code"] == 4401


@pytest.mark.parametrize("ended", [False, True])
async def test_the_servers_own_cancellation_is_not_swallowed(ended: bool) -> None:
    async def talk(scope: Any, receive: Any, send: Any) -> None:
        assert get_session(scope).user_id == "ada"
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.sleep(60)

    bare = Bare(talk)
    session_id, cookie = await bare.sign_in()
    task = await bare.open(cookie)
    if ended:
        await bare.manager.revoke(session_id)
        assert (await bare.sent.get())["code"] == 4401
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bare.manager.runtime.watch()._tasks == []


def test_the_example_of_the_page_works() -> None:
    text = (ROOT / "docs" / "sockets.md").read_text()
    example = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    settings = 'SessionSettings.load(secret_key="…", store="redis://localhost/0")'
    assert settings in example
    names: dict[str, Any] = {}
    exec(example.replace(settings, "SessionSettings.for_tests()"), names)  # noqa: S102
    client = TestClient(names["app"])
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/chat"):
        pass
    login(client, "ada")
    with client.websocket_connect("/chat") as socket:
        socket.send_text("half a sentence")
    assert session_of(client)["draft"] == "half a sentence"
