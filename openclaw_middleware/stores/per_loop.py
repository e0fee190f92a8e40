"""One client per running event loop and process, made when first asked for.

Asyncio clients belong to the loop that opened their connections, and test clients open a loop per
request; connections must not be shared with a parent process either. A holder gives the right
client and disposes of those whose loop ends, without a lifespan. Knows nothing of any engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """A blocking client, made anew in a forked child."""

    def __init__(self, make: Callable[[], T], forget: Callable[[T], None]) -> None:
        self._make = make
        self._forget = forget
        self._lock = threading.Lock()
        self._held: tuple[int, T] | None = None

    def get(self) -> T:
        held = self._held
        if held is not None and held[0] == os.getpid():
            return held[1]
        return self._get_slowly()

    def _get_slowly(self) -> T:
        pid = os.getpid()
        if self._held is not None and self._held[0] != pid:
            # another thread may have held the lock at the moment of the fork
            self._lock = threading.Lock()
        with self._lock:
            if self._held is None or self._held[0] != pid:
                if self._held is not None:
                    self._forget(self._held[1])
                self._held = (pid, self._make())
            return self._held[1]

    def pop(self) -> T | None:
        """Take the client out, for closing; the next `get` makes another."""
        with self._lock:
            held, self._held = self._held, None
        return held[1] if held is not None and held[0] == os.getpid() else None


@dataclass(slots=True)
class _Held(Generic[T]):
    pid: int
    client: T
    farewell: AsyncGenerator[None, None] | None


class PerLoop(Generic[T]):
    """An asyncio client for each running loop.

    Args:
        make: a new client, without I/O.
        close: closes a client; awaited on its own loop when that loop shuts down.
        abandon: releases the sockets of a client without touching its loop, which is closed or
            belongs to the parent process.
    """

    def __init__(
        self,
        make: Callable[[], T],
        close: Callable[[T], Awaitable[None]],
        abandon: Callable[[T], None],
    ) -> None:
        self._make = make
        self._close = close
        self._abandon = abandon
        self._lock = threading.Lock()
        self._held: dict[asyncio.AbstractEventLoop, _Held[T]] = {}

    def get(self) -> T:
        """The client of the running loop."""
        loop = asyncio.get_running_loop()
        held = self._held.get(loop)
        if held is not None and held.pid == os.getpid():
            return held.client
        return self._get_slowly(loop)

    async def close(self) -> None:
        """Close the client of the running loop, and drop those of closed loops."""
        with self._lock:
            held = self._held.pop(asyncio.get_running_loop(), None)
            self._sweep()
        if held is None:
            return
        if held.farewell is not None:
            await held.farewell.aclose()
        else:
            await self._close(held.client)

    def _get_slowly(self, loop: asyncio.AbstractEventLoop) -> T:
        pid = os.getpid()
        if any(held.pid != pid for held in list(self._held.values())):
            # another thread may have held the lock at the moment of the fork
            self._lock = threading.Lock()
        with self._lock:
            self._sweep()
            held = self._held.get(loop)
            if held is None:
                client = self._make()
                held = self._held[loop] = _Held(pid, client, self._wait_for_end(loop, client))
            return held.client

    def _sweep(self) -> None:
        pid = os.getpid()
        for loop, held in list(self._held.items()):
            if held.pid != pid or loop.is_closed():
                del self._held[loop]
                self._abandon(held.client)

    def _wait_for_end(
        self, loop: asyncio.AbstractEventLoop, client: T
    ) -> AsyncGenerator[None, None] | None:
        """Let the loop close the client: it finishes all asynchronous generators when it ends."""
        if getattr(loop, "_asyncgens_shutdown_called", False):
            return None
        farewell = self._farewell(loop, client)
        with contextlib.suppress(StopIteration):
            farewell.asend(None).send(None)
        return farewell

    async def _farewell(
        self, loop: asyncio.AbstractEventLoop, client: T
    ) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            held = self._held.get(loop)
            if held is not None and held.client is client:
                del self._held[loop]
            await self._close(client)
