"""Engines whose loop or process is gone: how to let go of their connections without them."""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from typing import Any

from sqlalchemy import event

from .base import StoreOptions
from .sql_engines import open_asynchronous
from .sql_urls import Source

# Engines inherited from a parent process. Their connections are the parent's: collecting them
# could end its conversations, and drop the locks a child has on the same SQLite file.
_inherited: list[Any] = []


def keep_for_parent(engine: Any) -> None:
    """Neither use nor collect what a parent process goes on using."""
    _inherited.append(engine)


class LoopEngine:
    """An asyncio engine that knows its connections, for the day its loop is closed."""

    def __init__(self, source: Source, options: StoreOptions) -> None:
        self.engine = open_asynchronous(source, options)
        self.pid = os.getpid()
        self.records: weakref.WeakSet[Any] = weakref.WeakSet()

        @event.listens_for(self.engine.sync_engine, "connect")
        def connected(_connection: Any, record: Any) -> None:
            self.records.add(record)

    async def close(self) -> None:
        await self.engine.dispose()


def abandon(held: LoopEngine) -> None:
    """Close the sockets of an engine whose loop is closed, or leave them to the parent process."""
    if held.pid != os.getpid():
        keep_for_parent(held)
        return
    for record in list(held.records):
        if record.dbapi_connection is not None:
            with suppress(Exception):
                _hang_up(record.dbapi_connection.driver_connection)


def _hang_up(connection: Any) -> None:
    """No driver offers to do this without its loop, so it is done by what each is made of."""
    if hasattr(connection, "pgconn"):  # psycopg
        connection.pgconn.finish()
    elif hasattr(connection, "stop"):  # aiosqlite: ends its thread
        connection.stop()
    else:  # asyncmy: the transport would ask the closed loop to close the socket
        transport = connection._transport
        with suppress(RuntimeError):
            transport.close()
        transport._call_connection_lost(None)
