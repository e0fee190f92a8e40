"""psycopg connections that never wait without end.

A server that is stopped but still connected answers nothing and refuses nothing; the timeouts of
libpq and of the server don't help then. These classes give up after `limit` seconds, and close the
connection at once when given up or cancelled: psycopg itself would first wait for the server to
confirm the cancellation. Imported only when PostgreSQL is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from psycopg import pq, waiting

T = TypeVar("T")

# psycopg wakes its generators this often, so a limit is kept to this precision.
INTERVAL = 0.1


def _limited(
    steps: Generator[Any, Any, T], limit: float, pgconn: pq.abc.PGconn | None
) -> Generator[Any, Any, T]:
    """The same generator, failing after `limit` seconds."""
    deadline = time.monotonic() + limit
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() >= deadline:
                if pgconn is not None:
                    pgconn.finish()
                raise psycopg.OperationalError(
                    f"no answer from the server within {limit:g} seconds"
                ) from TimeoutError()
            wanted = steps.send(ready)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration.value is untyped


class LimitedConnection(psycopg.Connection[Any]):
    limit = 1.0

    @classmethod
    def _connect_gen(cls, conninfo: str = "", **options: Any) -> Any:
        return _limited(super()._connect_gen(conninfo, **options), cls.limit, None)

    def wait(self, gen: Any, interval: float = INTERVAL, timeout: float | None = None) -> Any:
        try:
            steps = _limited(gen, timeout or self.limit, self.pgconn)
            return waiting.wait(steps, self.pgconn.socket, interval=interval)
        except (KeyboardInterrupt, SystemExit):
            self.pgconn.finish()
            raise


class LimitedAsyncConnection(psycopg.AsyncConnection[Any]):
    limit = 1.0

    @classmethod
    def _connect_gen(cls, conninfo: str = "", **options: Any) -> Any:
        return _limited(super()._connect_gen(conninfo, **options), cls.limit, None)

    async def wait(
        self,
        gen: Any,
        interval: float = INTERVAL,
        timeout: float | None = None,  # noqa: ASYNC109  # psycopg's own signature
    ) -> Any:
        try:
            steps = _limited(gen, timeout or self.limit, self.pgconn)
            return await waiting.wait_async(steps, self.pgconn.socket, interval=interval)
        except BaseException as error:
            if not isinstance(error, Exception):
                self.pgconn.finish()
            raise


def limited(limit: float) -> tuple[type[LimitedConnection], type[LimitedAsyncConnection]]:
    """The two classes with a limit of `limit` seconds per wait."""
    return (
        type("LimitedConnection", (LimitedConnection,), {"limit": limit}),
        type("LimitedAsyncConnection", (LimitedAsyncConnection,), {"limit": limit}),
    )
