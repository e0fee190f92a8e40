"""Run the core's bodies in a colour: which store, how to wait, and nothing twice at once.

The two drivers are twins of a few lines; every decision is in the core, and how commits on one
session wait for each other in `turns`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
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
from .turns import AllTurns


class Driver:
    """The blocking colour."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.breaker = Breaker()
        self._turns = AllTurns(threading.Lock)
        # A listener may save in the middle of a save: that is one thread.
        self._requests = AllTurns(threading.RLock)

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
            x.renew_time()
            with self._alone(x):
                x.store, x.breaker = self.store, self.breaker
                drive(commit.run())
        elif failed:
            commit.drop()

    def take(self, x: Exchange, key: str, default: Any) -> Any:
        """See `core.take`."""
        x.renew_time()
        with self._alone(x):
            x.store, x.breaker = self.store, self.breaker
            return drive(take(x, key, default, Contest(x, time.sleep)))

    def reload(self, x: Exchange) -> None:
        """See `core.take`."""
        x.renew_time()
        with self._alone(x):
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
        own = self._requests.enter(x)
        try:
            with own.lock, self._turn(x):
                yield
        finally:
            self._requests.leave(x)

    @contextmanager
    def _turn(self, x: Exchange) -> Iterator[None]:
        record = x.state.record
        if record is None:
            yield
            return
        turns = self._turns.enter(record.id)
        lock = turns.lock
        held = False
        try:
            held = lock.acquire(blocking=False) or drive(
                turns.wait(x, lambda seconds: lock.acquire(timeout=seconds))
            )
            if held:
                turns.begin(x)
            yield
        finally:
            if held:
                turns.end(x)
                lock.release()
            self._turns.leave(record.id)


class AsyncDriver:
    """The asyncio colour."""

    def __init__(self, store: AsyncStore) -> None:
        self.store = store
        self.breaker = Breaker()
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, AllTurns] = WeakKeyDictionary()

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
            x.renew_time()
            await _to_the_end(self._commit(x, commit))
        elif failed:
            commit.drop()

    async def _commit(self, x: Exchange, commit: Commit) -> None:
        async with self._alone(x):
            x.store, x.breaker = self.store, self.breaker
            await adrive(commit.run())

    async def take(self, x: Exchange, key: str, default: Any) -> Any:
        """See `core.take`."""
        x.renew_time()
        return await _to_the_end(self._take(x, key, default))

    async def _take(self, x: Exchange, key: str, default: Any) -> Any:
        async with self._alone(x):
            x.store, x.breaker = self.store, self.breaker
            return await adrive(take(x, key, default, Contest(x, asyncio.sleep)))

    async def reload(self, x: Exchange) -> None:
        """See `core.take`."""
        x.renew_time()
        # A write whose answer was lost comes first.
        await _to_the_end(self._reload(x))

    async def _reload(self, x: Exchange) -> None:
        async with self._alone(x):
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
        all_turns = self._turns.setdefault(asyncio.get_running_loop(), AllTurns(asyncio.Lock))
        own = all_turns.enter(x)
        try:
            async with own.lock, self._turn(x, all_turns):
                yield
        finally:
            all_turns.leave(x)

    @asynccontextmanager
    async def _turn(self, x: Exchange, all_turns: AllTurns) -> AsyncIterator[None]:
        record = x.state.record
        if record is None:
            yield
            return
        turns = all_turns.enter(record.id)
        lock = turns.lock
        held = False
        try:
            if turns.users == 1:
                held = await lock.acquire()  # at once
            else:
                held = await adrive(turns.wait(x, lambda seconds: _acquire(lock, seconds)))
            if held:
                turns.begin(x)
            yield
        finally:
            if held:
                turns.end(x)
                lock.release()
            all_turns.leave(record.id)


async def _acquire(lock: asyncio.Lock, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await lock.acquire()
    except TimeoutError:
        return False


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
