"""Managers on a store that is away: what they raise, and that a loop of them does not wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from openclaw_middleware import (
    AsyncSessionManager,
    SessionManager,
    SessionSettings,
    StoreUnavailable,
)
from openclaw_middleware.core import deadline
from openclaw_middleware.core import events as ev
from openclaw_middleware.core.steps import Steps
from openclaw_middleware.runtime import Runtime
from openclaw_middleware.stores.memory import AsyncMemoryStore, MemoryStore
from openclaw_middleware.testing import Clock, Fault, wrap

CALLS: dict[str, tuple[Any, ...]] = {
    "sessions_of": ("ada",),
    "get": ("a.b",),
    "end_of": ("a.b",),
    "revoke": ("a.b",),
    "revoke_user": ("ada",),
    "stats": (),
    "purge_expired": (),
    "open": ("a.b",),
}


class Away(Fault):
    """Fails every verb while `on`; counts what was asked."""

    on = True
    asked = 0

    def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
        self.asked += 1
        assert 0 < deadline.left() <= 1
        if self.on:
            raise StoreUnavailable("out of reach", operation=operation)
        answer = yield call()
        return answer


class Bench:
    """A manager of either colour, called blocking."""

    def __init__(self, colour: str) -> None:
        self.away, self.clock, self.events = Away(), Clock(), []
        memory: Any = MemoryStore() if colour == "sync" else AsyncMemoryStore()
        settings = SessionSettings.for_tests(store=wrap(memory, self.away))
        self.runtime = Runtime(settings, clock=self.clock, listeners=[self.events.append])
        kind: Any = SessionManager if colour == "sync" else AsyncSessionManager
        self.manager = kind(self.runtime)
        self.colour = colour

    def call(self, verb: str, *args: Any) -> Any:
        if verb == "open":
            return self._open(*args)
        answer = getattr(self.manager, verb)(*args)
        return answer if self.colour == "sync" else asyncio.run(answer)

    def _open(self, session_id: str) -> None:
        if self.colour == "sync":
            with self.manager.open(session_id):
                return

        async def enter() -> None:
            async with self.manager.open(session_id):
                return

        asyncio.run(enter())


@pytest.fixture(params=["sync", "async"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    return Bench(request.param)


@pytest.mark.parametrize("verb", CALLS)
def test_every_call_says_that_the_store_is_away(bench: Bench, verb: str) -> None:
    with pytest.raises(StoreUnavailable):
        bench.call(verb, *CALLS[verb])
    assert [type(event) for event in bench.events] == [ev.StoreFailed]


def test_a_jobs_loop_asks_three_times_and_then_once_a_second(bench: Bench) -> None:
    for _ in range(20):
        for verb, args in CALLS.items():
            with pytest.raises(StoreUnavailable):
                bench.call(verb, *args)
    assert bench.away.asked == 3
    bench.clock.advance(1)
    for _ in range(20):
        with pytest.raises(StoreUnavailable):
            bench.call("stats")
    assert bench.away.asked == 4
    bench.away.on = False
    bench.clock.advance(1)
    for _ in range(5):
        assert bench.call("stats").live == 0


def test_requests_and_managers_share_what_they_know(bench: Bench) -> None:
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            bench.call("stats")
    driver = bench.runtime.blocking if bench.colour == "sync" else bench.runtime.asynchronous
    with pytest.raises(StoreUnavailable):
        driver.breaker.check("load", bench.clock())
