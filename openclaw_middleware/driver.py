"""Run the core's bodies in a colour: which store, how to wait, and nothing twice at once.

The two drivers are twins of a few lines; every decision is in the core. Commits on one session
are serialised within the process, which removes most conflicts before they arise.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from .core.breaker import Breaker
from .core.commit import Commit
from .core.contest import Contest
from .core.events import logger
from .core.exchange import Exchange
from .core.steps import adrive, drive
from .core.take import reload, take
from .errors import StoreError
from .stores.base import AsyncStore, Store


@dataclass(slots=True)
class _Held:
    lock: Any
    users: int = 0


@dataclass(slots=True)
class _Locks:
    """One lock per session id in use, made on demand and dropped with its last user."""

    held: dict[str, _Held] = field(default_factory=dict)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, key: str, make: Any) -> Any:
        with self.guard:
            held = self.held.setdefault(key, _Held(make()))
            held.users += 1
            return held.lock

    def leave(self, key: str) -> None:
        with self.guard:
            held = self.held[key]
            held.users -= 1
            if not held.users:
                del self.held[key]


class Driver:
    """The blocking colour."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.breaker = Breaker()
        self._locks = _Locks()

    def load(self, x: Exchange) -> None:
        """Load what the token names; a failure is remembered in the exchange."""
        x.store, x.breaker = self.store, self.breaker
        drive(x.load())

    def commit(self, x: Exchange, *, failed: bool = False) -> None:
        """Write what must be written; what failed is raised."""
        if not x.accessed:
            return
        commit = Commit(x, failed=failed, pause=time.sleep)
        if commit.due:
            with self._alone(x):
                x.store, x.breaker = self.store, self.breaker
                drive(commit.run())

    def take(self, x: Exchange, key: str, default: Any) -> Any:
        """See `core.take`."""
        with self._alone(x):
            x.store, x.breaker = self.store, self.breaker
            return drive(take(x, key, default, Contest(x, time.sleep)))

    def reload(self, x: Exchange) -> None:
        """See `core.take`."""
        x.store, x.breaker = self.store, self.breaker
        drive(reload(x, time.sleep))

    def touch(self, x: Exchange) -> None:
        """Start the idle clock anew."""
        x.store, x.breaker = self.store, self.breaker
        with _harmless(x):
            drive(x.touch())

    def beat(self, x: Exchange, ago: float) -> None:
        """Start the idle clock at the activity of `ago` seconds ago; a failure is raised."""
        x.store, x.breaker = self.store, self.breaker
        drive(x.beat(ago))

    @contextmanager
    def _alone(self, x: Exchange) -> Iterator[None]:
        record = x.state.record
        if record is None:
            yield
            return
        lock = self._locks.enter(record.id, threading.Lock)
        # The lock only saves conflicts; correctness is the store's, so waiting is bounded.
        held = lock.acquire(timeout=x.rules.commit_deadline)
        try:
            yield
        finally:
            if held:
                lock.release()
            self._locks.leave(record.id)


class AsyncDriver:
    """The asyncio colour."""

    def __init__(self, store: AsyncStore) -> None:
        self.store = store
        self.breaker = Breaker()
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, _Locks] = WeakKeyDictionary()

    async def load(self, x: Exchange) -> None:
        """Load what the token names; a failure is remembered in the exchange."""
        x.store, x.breaker = self.store, self.breaker
        await adrive(x.load())

    async def commit(self, x: Exchange, *, failed: bool = False, handshake: bool = False) -> None:
        """Write what must be written, to the end even when the request is cancelled."""
        if not x.accessed:
            return
        commit = Commit(x, failed=failed, handshake=handshake, pause=asyncio.sleep)
        if commit.due:
            await _to_the_end(self._commit(x, commit))

    async def _commit(self, x: Exchange, commit: Commit) -> None:
        async with self._alone(x):
            x.store, x.breaker = self.store, self.breaker
            await adrive(commit.run())

    async def take(self, x: Exchange, key: str, default: Any) -> Any:
        """See `core.take`."""
        return await _to_the_end(self._take(x, key, default))

    async def _take(self, x: Exchange, key: str, default: Any) -> Any:
        async with self._alone(x):
            x.store, x.breaker = self.store, self.breaker
            return await adrive(take(x, key, default, Contest(x, asyncio.sleep)))

    async def reload(self, x: Exchange) -> None:
        """See `core.take`."""
        x.store, x.breaker = self.store, self.breaker
        await adrive(reload(x, asyncio.sleep))

    async def touch(self, x: Exchange) -> None:
        """Start the idle clock anew."""
        x.store, x.breaker = self.store, self.breaker
        with _harmless(x):
            await adrive(x.touch())

    async def beat(self, x: Exchange, ago: float) -> None:
        """Start the idle clock at the activity of `ago` seconds ago; a failure is raised."""
        x.store, x.breaker = self.store, self.breaker
        await adrive(x.beat(ago))

    @asynccontextmanager
    async def _alone(self, x: Exchange) -> AsyncIterator[None]:
        record = x.state.record
        if record is None:
            yield
            return
        locks = self._locks.setdefault(asyncio.get_running_loop(), _Locks())
        lock: asyncio.Lock = locks.enter(record.id, asyncio.Lock)
        held = False
        try:
            try:
                async with asyncio.timeout(x.rules.commit_deadline):
                    held = await lock.acquire()
            except TimeoutError:
                held = False
            yield
        finally:
            if held:
                lock.release()
            locks.leave(record.id)


@contextmanager
def _harmless(x: Exchange) -> Iterator[None]:
    """A touch that could have waited may fail: the session ends idle a little early, at worst."""
    can_wait = x.touch_can_wait()
    try:
        yield
    except StoreError as error:
        if not can_wait:
            raise
        logger.warning("session %s was used, but not touched: %s", x.state.id, error)


async def _to_the_end(work: Any) -> Any:
    """Finish the work whatever is cancelled around it, then let the cancellation through."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()
        raise cancelled
    return task.result()
