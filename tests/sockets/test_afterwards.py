"""What an application does after its response or socket is its own, and so are its errors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openclaw_middleware.asgi import get_session
from openclaw_middleware.asgi_sockets import Disconnected
from openclaw_middleware.causes import is_translation
from tests.sockets.test_units import Bare

pytestmark = pytest.mark.filterwarnings("error")

WORK = 0.5


@pytest.fixture(autouse=True)
def short_parting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cut off is cut off long before the work is done."""
    monkeypatch.setattr("openclaw_middleware.asgi_sockets.PARTING", 0.05)


class Parts:
    """A socket or stream whose session ends when `over` is set, and work that goes on after it."""

    def __init__(self) -> None:
        self.over, self.ended, self.done = asyncio.Event(), asyncio.Event(), False

    async def work(self) -> None:
        self.over.set()
        await self.ended.wait()
        await asyncio.sleep(WORK)
        self.done = True


@pytest.mark.parametrize("way", ["client left", "application closed"])
async def test_work_after_a_socket_is_not_cut_off(way: str) -> None:
    parts = Parts()

    async def talk(scope: Any, receive: Any, send: Any) -> None:
        assert get_session(scope).user_id == "ada"
        await receive()
        await send({"type": "websocket.accept"})
        if way == "client left":
            assert (await receive())["type"] == "websocket.disconnect"
        else:
            assert (await receive())["type"] == "websocket.receive"
            await send({"type": "websocket.close", "code": 1000})
        await parts.work()

    bare = Bare(talk)
    session_id, cookie = await bare.sign_in()
    task = await bare.open(cookie)
    kind = "disconnect" if way == "client left" else "receive"
    bare.received.put_nowait({"type": f"websocket.{kind}", "code": 1001})
    await parts.over.wait()
    await asyncio.sleep(0.05)
    assert bare.manager.runtime.watch()._held == {}  # while the application still works
    await bare.manager.revoke(session_id)
    parts.ended.set()
    await task
    assert parts.done


@pytest.mark.parametrize("way", ["complete", "client left"])
async def test_work_after_a_stream_is_not_cut_off(way: str) -> None:
    parts = Parts()

    async def respond(scope: Any, receive: Any, send: Any) -> None:
        assert get_session(scope).user_id == "ada"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        while not bare.manager.runtime.watch()._held:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        if way == "complete":
            await send({"type": "http.response.body", "body": b"b"})
        else:
            assert (await receive())["type"] == "http.disconnect"
        await parts.work()

    bare = Bare(respond)
    session_id, cookie = await bare.sign_in()
    scope = {"type": "http", "path": "/", "method": "GET", "headers": [(b"cookie", cookie)]}
    bare.received.put_nowait({"type": "http.disconnect"})
    task = asyncio.ensure_future(bare.app(scope, bare.received.get, bare.sent.put))
    await parts.over.wait()
    await asyncio.sleep(0.05)
    assert bare.manager.runtime.watch()._held == {}
    await bare.manager.revoke(session_id)
    parts.ended.set()
    await task
    assert parts.done


class WebSocketDisconnect(Exception):  # as frameworks call it
    pass


@pytest.mark.parametrize(
    ("made", "chained", "quiet"),
    [
        (None, False, True),
        (WebSocketDisconnect(), False, True),
        (OSError(), False, True),
        (RuntimeError("by middleware"), True, True),
        (ValueError("a bug"), False, False),
        (FileNotFoundError("a bug"), False, False),
        (SystemExit(4401), False, False),
        (SystemExit(4401), True, False),
    ],
)
async def test_only_the_disconnect_itself_is_no_error(
    made: BaseException | None, chained: bool, quiet: bool
) -> None:
    raised: list[BaseException] = []

    async def talk(scope: Any, receive: Any, send: Any) -> None:
        assert get_session(scope).user_id == "ada"
        await receive()
        await send({"type": "websocket.accept"})
        assert (await receive())["code"] == 4401
        try:
            await send({"type": "websocket.send", "text": "too late"})
        except OSError as error:
            if made is None:
                raise
            if chained:
                raise made from error
            raise made  # noqa: B904  # that it is not chained is what is asked

    async def app(scope: Any, receive: Any, send: Any) -> None:
        # A task must not end in SystemExit.
        try:
            await bare_app(scope, receive, send)
        except BaseException as error:
            raised.append(error)

    bare = Bare(talk)
    session_id, cookie = await bare.sign_in()
    bare_app, bare.app = bare.app, app  # type: ignore[assignment]
    task = await bare.open(cookie)
    await bare.manager.revoke(session_id)
    await task
    assert raised == ([] if quiet else [made])


def test_a_group_is_ours_when_all_of_it_is() -> None:
    ours = Disconnected()

    def is_ours(error: BaseException) -> bool:
        return error is ours

    assert is_translation(ExceptionGroup("g", [ours, ExceptionGroup("h", [ours])]), is_ours)
    assert not is_translation(ExceptionGroup("g", [ours, ValueError()]), is_ours)
    assert not is_translation(BaseExceptionGroup("g", [ours, KeyboardInterrupt()]), is_ours)
