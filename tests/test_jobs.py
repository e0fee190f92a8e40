"""Writing to a session from a job that fails half-way."""

from __future__ import annotations

import asyncio

import pytest

from openclaw_middleware import AsyncSessionManager, SessionManager, SessionSettings
from openclaw_middleware.core import events as ev
from openclaw_middleware.core.exchange import Exchange
from openclaw_middleware.core.request import RequestInfo
from openclaw_middleware.driver import AsyncDriver, Driver
from openclaw_middleware.runtime import Runtime
from openclaw_middleware.session import Session


def stored(runtime: Runtime, colour: str) -> str:
    """A signed-in session with a key; its id."""
    x = Exchange(runtime.desk, RequestInfo())
    if colour == "sync":
        driver: Driver | AsyncDriver = runtime.blocking
        session = Session(x, runtime.blocking, None)
    else:
        driver = runtime.asynchronous
        session = Session(x, None, runtime.asynchronous)
    session.login("ada")
    session["a"] = 1
    if isinstance(driver, Driver):
        driver.commit(x)
    else:
        asyncio.run(driver.commit(x))
    return session.id


def job(runtime: Runtime, colour: str, session_id: str, *, leaves: bool) -> dict[str, object]:
    """A job that changes something, may log the person out, and fails; what is there then."""

    def work(session: Session) -> None:
        session["b"] = 2
        if leaves:
            session.logout()
        raise RuntimeError("half-way")

    async def awaited() -> dict[str, object]:
        manager = AsyncSessionManager(runtime)
        with pytest.raises(RuntimeError, match="half-way"):
            async with manager.open(session_id) as session:
                work(session)
        if await manager.get(session_id) is None:
            return {}
        async with manager.open(session_id) as session:
            return session.to_dict()

    if colour == "async":
        return asyncio.run(awaited())
    manager = SessionManager(runtime)
    with pytest.raises(RuntimeError, match="half-way"), manager.open(session_id) as session:
        work(session)
    if manager.get(session_id) is None:
        return {}
    with manager.open(session_id) as session:
        return session.to_dict()


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("leaves", [False, True])
def test_a_job_that_fails_stores_nothing_but_its_logout(colour: str, leaves: bool) -> None:
    """As a request that fails does; an event tells what was dropped."""
    events: list[object] = []
    runtime = Runtime(SessionSettings.for_tests(), listeners=[events.append])
    session_id = stored(runtime, colour)
    events.clear()

    left = job(runtime, colour, session_id, leaves=leaves)

    assert left == ({} if leaves else {"a": 1})
    told = [event.keys for event in events if isinstance(event, ev.ChangesDropped)]
    assert told == ([] if leaves else [("b",)])
