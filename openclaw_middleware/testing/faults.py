"""Store wrappers for tests: lose answers, count trips, hold a verb until the test lets it go.

A fault is one generator body; `wrap` puts it around any store and gives back a store of the same
colour. Wrappers call the public verbs only. No engine's library and no pytest in here.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Literal, TypeVar, overload

from ..core.steps import Steps, adrive, drive
from ..errors import StoreUnavailable
from ..stores.base import AsyncStore, Body, Heard, Store

T = TypeVar("T")


class Fault:
    """Something that happens around the verbs of a store; the base lets every call through.

    `asynchronous` is set by `wrap`, for faults that have to wait in the store's own colour.
    """

    asynchronous: bool = False

    def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
        """Run `call` (once, several times or not at all), answer for it, or raise."""
        answer = yield call()
        return answer


class Counting(Fault):
    """Counts the trips to the store, by verb."""

    def __init__(self) -> None:
        self.trips: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def total(self) -> int:
        """All trips since the last reset."""
        return self.trips.total()

    def reset(self) -> None:
        """Start counting from zero."""
        with self._lock:
            self.trips.clear()

    def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
        with self._lock:
            self.trips[operation] += 1
        answer = yield call()
        return answer


class LostReplies(Fault):
    """Performs a verb and then fails as if the connection had broken before the answer came.

    Args:
        operations: verbs whose answers get lost; none named means all.
        times: how many answers get lost altogether, None for all of them.
        every: lose only each n-th answer.
    """

    def __init__(self, *operations: str, times: int | None = 1, every: int = 1) -> None:
        self.operations = frozenset(operations)
        self.times = times
        self.every = every
        self.lost = 0
        self._seen = 0
        self._lock = threading.Lock()

    def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
        answer = yield call()
        if not self.operations or operation in self.operations:
            with self._lock:
                self._seen += 1
                lose = self._seen % self.every == 0
                lose = lose and (self.times is None or self.lost < self.times)
                self.lost += lose
            if lose:
                raise StoreUnavailable(
                    f"the answer to {operation} was lost",
                    store="test",
                    operation=operation,
                    disconnected=True,
                )
        return answer


class Gate(Fault):
    """Holds the next call of one verb, before or after it is performed, until `open`.

    In one thread or task: `store.save(...)`. In the other: `yield gate.reached()` (or
    `gate.reached()` blocking, `await gate.reached()`), then whatever is to come in between, then
    `gate.open()`. Calls after the first are let through.
    """

    def __init__(
        self, operation: str, when: Literal["before", "after"] = "before", *, patience: float = 10.0
    ) -> None:
        self.operation = operation
        self.when = when
        self.patience = patience
        self._lock = threading.Lock()
        self._taken = False
        self._reached: Future[None] = Future()
        self._opened: Future[None] = Future()

    def reached(self) -> Any:
        """Wait until a call stands at the gate; at most `patience` seconds."""
        return self._wait(self._reached)

    def open(self) -> None:
        """Let the held call go on."""
        if not self._opened.done():
            self._opened.set_result(None)

    def _wait(self, future: Future[None]) -> Any:
        if self.asynchronous:
            # Shielded, since a cancelled wait would cancel the future that others wait for.
            waiting = asyncio.shield(asyncio.wrap_future(future))
            return asyncio.wait_for(waiting, self.patience)
        return future.result(self.patience)

    def _hold(self) -> Steps[None]:
        self._reached.set_result(None)
        yield self._wait(self._opened)

    def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
        with self._lock:
            held = operation == self.operation and not self._taken
            self._taken = self._taken or held
        if held and self.when == "before":
            yield from self._hold()
        answer = yield call()
        if held and self.when == "after":
            yield from self._hold()
        return answer


def _named(operation: str, args: tuple[Any, ...]) -> dict[str, Any]:
    """The positional arguments of a body, under the names its public verb gives them."""
    names = list(inspect.signature(getattr(Store, operation)).parameters)[1:]
    return dict(zip(names, args, strict=True))


class FaultyStore(Store):
    """A blocking store with a fault around every verb."""

    def __init__(self, inner: Store, fault: Fault) -> None:
        self.inner, self.fault = inner, fault
        self.capabilities, self.options = inner.capabilities, inner.options

    def _call(self, operation: str, body: Body[T], *args: Any) -> T:
        verb = getattr(self.inner, operation)
        named = _named(operation, args)
        answer: T = drive(self.fault.around(operation, lambda: verb(**named)))
        return answer

    def create_tables(self) -> None:
        self.inner.create_tables()

    def close(self) -> None:
        self.inner.close()


class AsyncFaultyStore(AsyncStore):
    """An asyncio store with a fault around every verb."""

    def __init__(self, inner: AsyncStore, fault: Fault) -> None:
        self.inner, self.fault = inner, fault
        self.capabilities, self.options = inner.capabilities, inner.options

    async def _call(self, operation: str, body: Body[T], *args: Any) -> T:
        verb = getattr(self.inner, operation)
        named = _named(operation, args)
        answer: T = await adrive(self.fault.around(operation, lambda: verb(**named)))
        return answer

    async def listen(self, heard: Heard) -> None:
        await self.inner.listen(heard)

    async def create_tables(self) -> None:
        await self.inner.create_tables()

    async def close(self) -> None:
        await self.inner.close()


@overload
def wrap(store: Store, *faults: Fault) -> Store: ...
@overload
def wrap(store: AsyncStore, *faults: Fault) -> AsyncStore: ...
def wrap(store: Store | AsyncStore, *faults: Fault) -> Store | AsyncStore:
    """The store with `faults` around it, the first one innermost."""
    for fault in faults:
        if isinstance(store, AsyncStore):
            fault.asynchronous = True
            store = AsyncFaultyStore(store, fault)
        else:
            fault.asynchronous = False
            store = FaultyStore(store, fault)
    return store
