"""The small parts of sockets and streams, without a server."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import anyio
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
from openclaw_middleware.runtime import Runtime
from openclaw_middleware.testing import Clock
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

    def join(
        self, holder: object, record: object, now: float, *, used_at: float | None = None
    ) -> None:
        self.told.append(("join", used_at is not None))

    def use(self, holder: object, at: float) -> None:
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

    def __init__(self, talk: Any, *, clock: Clock | None = None, **settings: Any) -> None:
        runtime = Runtime(SessionSettings.for_tests(**settings), clock=clock)
        self.events: list[Any] = []
        self.manager = AsyncSessionManager(runtime, listeners=[self.events.append])
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

    async def open(self, cookie: bytes, *, watched: bool = True) -> asyncio.Task[None]:
        scope = {"type": "websocket", "path": "/", "headers": [(b"cookie", cookie)]}
        task = asyncio.ensure_future(self.app(scope, self.received.get, self.sent.put))
        self.received.put_nowait({"type": "websocket.connect"})
        assert (await self.sent.get())["type"] == "websocket.accept"
        while watched and not self.manager.runtime.watch()._hearing.hears:  # noqa: ASYNC110
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


async def test_a_socket_that_is_being_closed_is_not_closed_twice() -> None:
    """The session ends while the application's own farewell is on its way."""
    leaving, arrived = asyncio.Event(), asyncio.Event()

    async def talk(scope: Any, receive: Any, send: Any) -> None:
        assert get_session(scope).user_id == "ada"
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1000})

    bare = Bare(talk)
    session_id, cookie = await bare.sign_in()
    sent = bare.sent.put

    async def put(message: Any) -> None:
        await sent(message)
        if message["type"] == "websocket.close":
            leaving.set()
            await arrived.wait()

    bare.sent.put = put  # type: ignore[method-assign]
    task = await bare.open(cookie)
    await leaving.wait()
    await bare.manager.revoke(session_id)
    await asyncio.sleep(0.05)
    arrived.set()
    async with asyncio.timeout(5):
        await task
    assert (await bare.sent.get())["code"] == 1000
    assert bare.sent.empty()


async def stay(scope: Any, receive: Any, send: Any) -> None:
    """A socket of somebody signed in that stays open and says nothing."""
    assert get_session(scope).user_id == "ada"
    await receive()
    await send({"type": "websocket.accept"})
    await asyncio.sleep(60)


@pytest.mark.parametrize("ended", [False, True])
async def test_the_servers_own_cancellation_is_not_swallowed(ended: bool) -> None:
    bare = Bare(stay)
    session_id, cookie = await bare.sign_in()
    task = await bare.open(cookie)
    if ended:
        await bare.manager.revoke(session_id)
        assert (await bare.sent.get())["code"] == 4401
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bare.manager.runtime.watch()._tasks == []


@pytest.mark.parametrize("open_for", [0, 0.15], ids=["at once", "later"])
async def test_a_cancellation_that_is_repeated_leaves_nothing_behind(open_for: float) -> None:
    """As anyio's, which come at every step until the task is gone."""
    bare = Bare(stay)
    _, cookie = await bare.sign_in()
    inside = bare.app

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with anyio.move_on_after(60) as limit:
            limits.append(limit)
            await inside(scope, receive, send)

    limits: list[anyio.CancelScope] = []
    bare.app = app  # type: ignore[assignment]
    task = await bare.open(cookie, watched=bool(open_for))
    limits[0].cancel()
    await task
    await asyncio.sleep(0.15)
    watch = bare.manager.runtime.watch()
    assert (watch._held, watch._tasks) == ({}, [])


@pytest.mark.parametrize("way", ["awaited", "in a thread"])
async def test_a_session_that_is_looked_at_late_is_held(way: str) -> None:
    """And nothing more is sent or received that would remind anybody of it."""
    closed: list[Any] = []

    async def talk(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        if way == "awaited":
            await get_session(scope).aload()
        else:
            await asyncio.to_thread(lambda: get_session(scope).user_id)
        closed.append(await receive())

    clock = Clock()
    bare = Bare(talk, clock=clock)
    session_id, cookie = await bare.sign_in()
    task = await bare.open(cookie, watched=False)
    await asyncio.sleep(0.15)
    watch = bare.manager.runtime.watch()
    assert not watch._held
    clock.advance(1000)
    bare.received.put_nowait({"type": "websocket.receive", "text": "x"})

    async def last_active() -> float:
        found = await bare.manager.get(session_id)
        assert found is not None
        return found.last_active_at

    async with asyncio.timeout(5):
        while await last_active() < clock():  # noqa: ASYNC110  # the message that led to it counts
            await asyncio.sleep(0.01)
        await bare.manager.revoke(session_id)
        await task
    assert [message["code"] for message in closed] == [4401]


async def test_a_session_that_is_looked_at_too_late_is_not_held() -> None:
    """Its socket has been closed, and the application still works."""
    done = asyncio.Event()

    async def talk(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await done.wait()
        await send({"type": "websocket.close", "code": 1000})
        assert get_session(scope).user_id == "ada"
        await asyncio.sleep(0.05)
        assert not bare.manager.runtime.watch()._held

    bare = Bare(talk)
    _, cookie = await bare.sign_in()
    task = await bare.open(cookie, watched=False)
    await asyncio.sleep(0.15)
    done.set()
    await task


@pytest.mark.parametrize("writes", [False, True])
@pytest.mark.parametrize("passive", [False, True])
async def test_an_application_keeps_its_session_alive(passive: bool, writes: bool) -> None:
    """With a save, not when the socket is closed at last; as often as it says so."""
    seen: list[float] = []

    async def talk(scope: Any, receive: Any, send: Any) -> None:
        session = get_session(scope)
        session["n"] = 0
        await receive()
        await send({"type": "websocket.accept"})
        for n in range(1, 4):
            clock.advance(10)
            session["n"] = n if writes else 0
            session.keep_alive()
            await session.asave()
            found = await bare.manager.get(session_id)
            assert found is not None
            seen.append(found.last_active_at)
            clock.advance(10)
        await receive()

    clock = Clock()
    began = clock()
    bare = Bare(talk, clock=clock, passive_paths=["/"] if passive else [])
    session_id, cookie = await bare.sign_in()
    task = await bare.open(cookie, watched=False)
    bare.received.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await task
    assert seen == [began + 10, began + 30, began + 50]


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
