"""psycopg connections whose every wait ends with the store work at hand.

A server that is stopped but still connected answers nothing and refuses nothing; the timeouts of
libpq and of the server don't help then. These classes ask `core.deadline`, and close the connection
at once when the time is up or they are cancelled: psycopg itself would first wait for the server to
confirm the cancellation. Imported only when PostgreSQL is asked for.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from psycopg import pq, waiting

from ..core import deadline

T = TypeVar("T")

# psycopg wakes its generators this often, so the time is kept to this precision.
INTERVAL = 0.1


def _limited(steps: Generator[Any, Any, T], pgconn: pq.abc.PGconn | None) -> Generator[Any, Any, T]:
    """The same generator, failing when it wants to wait and the time is up."""
    try:
        wanted = next(steps)
        while True:
            wanted = steps.send((yield wanted))
            if deadline.passed():
                if pgconn is not None:
                    pgconn.finish()
                raise psycopg.OperationalError(
                    "no answer from the server in the time there was"
                ) from TimeoutError()
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration.value is untyped


def _step(interval: float) -> float:
    return min(interval, deadline.left())


class LimitedConnection(psycopg.Connection[Any]):
    @classmethod
    def _connect_gen(cls, conninfo: str = "", **options: Any) -> Any:
        return _limited(super()._connect_gen(conninfo, **options), None)

    def wait(self, gen: Any, interval: float = INTERVAL, timeout: float | None = None) -> Any:
        try:
            steps = _limited(gen, self.pgconn)
            return waiting.wait(steps, self.pgconn.socket, interval=_step(interval))
        except (KeyboardInterrupt, SystemExit):
            self.pgconn.finish()
            raise


class LimitedAsyncConnection(psycopg.AsyncConnection[Any]):
    @classmethod
    def _connect_gen(cls, conninfo: str = "", **options: Any) -> Any:
        return _limited(super()._connect_gen(conninfo, **options), None)

    async def wait(
        self,
        gen: Any,
        interval: float = INTERVAL,
        timeout: float | None = None,  # noqa: ASYNC109  # psycopg's own signature
    ) -> Any:
        try:
            steps = _limited(gen, self.pgconn)
            return await waiting.wait_async(steps, self.pgconn.socket, interval=_step(interval))
        except BaseException as error:
            if not isinstance(error, Exception):
                self.pgconn.finish()
            raise
