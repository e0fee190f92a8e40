"""SQLite connections that wait for a lock no longer than the store work at hand may take.

The engine keeps one busy timeout per connection; it is changed when a statement has clearly more
or less time. In the asyncio colour the waiting is done in aiosqlite's thread, which must come to
an end before the task gives up: nothing else ends it.
"""

from __future__ import annotations

import sqlite3
from contextvars import copy_context
from functools import cache
from typing import Any

from ..core import deadline

# The engine gives up a little before we do: then the connection stays usable.
SHARE = 0.9
# Setting the timeout costs as much as a small statement, so it is as exact as this.
SLACK = 0.05


class LimitedConnection(sqlite3.Connection):
    def __init__(self, database: Any, timeout: float = 5.0, *args: Any, **options: Any) -> None:
        super().__init__(database, timeout, *args, **options)
        self._most = self._busy_timeout = timeout

    def cursor(self, *args: Any, **options: Any) -> Any:
        wanted = min(deadline.left() * SHARE, self._most)
        if abs(wanted - self._busy_timeout) > SLACK * self._most:
            self._busy_timeout = wanted
            super().execute(f"PRAGMA busy_timeout = {max(1, int(wanted * 1000))}")
        return super().cursor(*args, **options)


def connect_in_thread(database: Any, **options: Any) -> Any:
    """An aiosqlite connection whose thread knows the deadline of the task it works for."""
    made = _in_thread()(lambda: sqlite3.connect(database, **options), iter_chunk_size=64)
    made._thread.daemon = True
    return made


@cache
def _in_thread() -> Any:
    from aiosqlite import Connection

    base: Any = Connection

    class InThread(base):  # type: ignore[misc]  # what it overrides is not typed
        async def _execute(self, call: Any, *args: Any, **named: Any) -> Any:
            return await super()._execute(copy_context().run, call, *args, **named)

    return InThread
