"""Sessions in an SQL database: SQLite, PostgreSQL, MariaDB or MySQL, by SQLAlchemy.

The two colours of the store: each opens a connection for a verb's body and closes it for
good when anything goes wrong, so that nothing half-way is ever pooled. Engines are our own, and
transactions always are, even on a ready engine.
"""

from __future__ import annotations

import asyncio
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, TypeVar

from ..core import deadline
from ..core.contract import Capabilities
from ..core.steps import adrive, drive
from ..errors import ConfigurationError, MissingDependency, StoreUnavailable
from .base import AsyncStore, Body, Heard, Store, StoreOptions

try:
    import sqlalchemy  # noqa: F401  # everything below needs it
except ImportError as error:
    raise MissingDependency("SQLAlchemy", "sql") from error

from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from .per_loop import PerLoop, PerProcess
from .sql_bodies import SQLBodies
from .sql_engines import open_asynchronous, open_blocking
from .sql_errors import is_deadlock, is_missing_table, is_timeout
from .sql_flavours import FLAVOURS
from .sql_listening import DRIVER, listen
from .sql_loops import LoopEngine, abandon, keep_for_parent
from .sql_records import on_connection
from .sql_statements import Statements
from .sql_tables import CREATE_COMMAND, Tables
from .sql_urls import Source, parse

T = TypeVar("T")

# Deadlocks the engine resolved against us; the locks' fixed order makes them rare.
REPEATS = 5
# Drivers may swallow a cancellation that comes at the moment something ended (`asyncio.wait_for`
# does, before Python 3.12): then nothing would end the verb. So it is cancelled a second time, when
# this share of the timeout has passed.
SECOND_CALL = 0.1
# Creating tables may wait for another process that creates them.
PATIENCE = 30.0


class _SQLStore(SQLBodies):
    """What both colours share: the names, the statements, and the meaning of errors."""

    driver_errors = (SQLAlchemyError, OSError, EOFError, TimeoutError)

    def _set_up(self, source: Source | None, dialect: Dialect, options: StoreOptions) -> None:
        if dialect.name not in FLAVOURS:
            raise ConfigurationError(
                f"engine: {dialect.name} is not supported; known are: {', '.join(FLAVOURS)}"
            )
        self.source = source
        self.options = options
        self.tables = Tables(options.namespace)
        self.statements = Statements(self.tables, dialect, own_engine=source is not None)
        memory = source.memory if source is not None else None
        sqlite = dialect.name == "sqlite"
        durability = "as the server's commits: on its disk, unless its settings say otherwise"
        if sqlite:
            durability = "flushed to disk at every commit (synchronous=FULL)"
        self.capabilities = Capabilities(
            name=dialect.name,
            shared=memory is None,
            durability=durability if memory is None else "nothing survives the process",
            clock="application" if sqlite else "store",
            announces=dialect.driver == DRIVER,
        )
        if memory is not None:
            # The database lives as long as one connection to it does.
            keeper = sqlite3.connect(memory, uri=True, check_same_thread=False)
            weakref.finalize(self, keeper.close)

    def _disconnected(self, error: BaseException) -> bool:
        if isinstance(error, DBAPIError):
            return error.connection_invalidated and not is_timeout(error)
        return isinstance(error, ConnectionError | EOFError)

    def _failure(self, error: BaseException, operation: str) -> StoreUnavailable:
        name = self.capabilities.name
        if is_missing_table(error):
            reason = (
                f"tables {self.options.namespace}_* do not exist; create them with: "
                f"{CREATE_COMMAND}"
            )
        else:
            # Not SQLAlchemy's own text: it prints the statement with its parameters.
            cause = (isinstance(error, DBAPIError) and error.orig) or error
            reason = f"{type(cause).__name__}: {' '.join(str(cause).split())[:300]}".rstrip(": ")
        return StoreUnavailable(
            f"store {name!r} failed during {operation}: {reason}",
            store=name,
            operation=operation,
            disconnected=self._disconnected(error),
        )

    def _creates_tables(self, error: DBAPIError, attempt: int) -> bool:
        """Only in an SQLite database of our own."""
        own = self.source is not None and self.capabilities.name == "sqlite"
        return own and attempt == 1 and is_missing_table(error)

    @contextmanager
    def _explained(self, operation: str) -> Iterator[None]:
        try:
            yield
        except self.driver_errors as error:
            raise self._failure(error, operation) from error


class SQLStore(_SQLStore, Store):
    """Blocking colour.

    Args:
        source: a store URL, or a ready `sqlalchemy.Engine`. A ready engine waits as its own
            timeouts say, which may be none, for each connection and statement.
    """

    def __init__(self, source: str | Engine, options: StoreOptions | None = None) -> None:
        options = options or StoreOptions()
        self._given: Engine | None = None
        if isinstance(source, str):
            parsed = parse(source)
            self._held = PerProcess(lambda: open_blocking(parsed, options), keep_for_parent)
            self._set_up(parsed, self._held.get().dialect, options)
            weakref.finalize(self, _dispose, self._held)
        elif isinstance(source, Engine):
            self._set_up(None, source.dialect, options)
            self._given = source.execution_options(isolation_level="AUTOCOMMIT")
            self._given.hide_parameters = True
        else:
            raise ConfigurationError(
                "store: a blocking application needs a sqlalchemy.Engine, not "
                f"{type(source).__name__}: make it with create_engine(), or pass a store URL"
            )

    def _engine(self) -> Engine:
        return self._given if self._given is not None else self._held.get()

    def _run(self, body: Body[T], *args: Any) -> T:
        attempt = 0
        while True:
            attempt += 1
            try:
                with self._engine().connect() as connection:
                    try:
                        return drive(on_connection(connection, body(*args)))
                    except BaseException:
                        connection.invalidate()
                        raise
            except DBAPIError as error:
                if self._creates_tables(error, attempt):
                    self._create_tables()
                elif attempt > REPEATS or not is_deadlock(error):
                    raise

    def create_tables(self) -> None:
        """Create the tables if they are missing; safe to repeat and to run concurrently.

        Raises:
            StoreUnavailable: the database cannot be reached, or refuses.
            ConfigurationError: the tables belong to a newer release.
        """
        begun = deadline.begin(PATIENCE)
        try:
            self._create_tables()
        finally:
            deadline.end(begun)

    def _create_tables(self) -> None:
        engine = self._engine()
        if self.source is not None:
            engine = open_blocking(self.source, replace(self.options, timeout=PATIENCE))
        try:
            with self._explained("create_tables"), engine.connect() as connection:
                self.tables.create(connection)
        finally:
            if self.source is not None:
                engine.dispose()

    def close(self) -> None:
        """Close our own connections; those of a ready engine are its owner's."""
        if self._given is None:
            _dispose(self._held)


class AsyncSQLStore(_SQLStore, AsyncStore):
    """Asyncio colour; one engine per running loop.

    Args:
        source: a store URL, or a ready `AsyncEngine`, which is used on every loop as it is.
    """

    def __init__(self, source: str | AsyncEngine, options: StoreOptions | None = None) -> None:
        options = options or StoreOptions()
        self._given: AsyncEngine | None = None
        if isinstance(source, str):
            parsed = parse(source)
            self._held = PerLoop(lambda: LoopEngine(parsed, options), LoopEngine.close, abandon)
            self._set_up(parsed, open_asynchronous(parsed, options).dialect, options)
        elif isinstance(source, AsyncEngine):
            self._set_up(None, source.dialect, options)
            self._given = source.execution_options(isolation_level="AUTOCOMMIT")
            self._given.sync_engine.hide_parameters = True
        else:
            raise ConfigurationError(
                "store: an asyncio application needs a sqlalchemy AsyncEngine, not "
                f"{type(source).__name__}: make it with create_async_engine(), or pass a store URL"
            )

    def _engine(self) -> AsyncEngine:
        return self._given if self._given is not None else self._held.get().engine

    async def _run(self, body: Body[T], *args: Any) -> T:
        attempt = 0
        while True:
            attempt += 1
            try:
                async with (
                    asyncio.timeout(deadline.left() + self.options.timeout * SECOND_CALL),
                    self._engine().connect() as connection,
                ):
                    try:
                        return await adrive(on_connection(connection, body(*args)))
                    except BaseException:
                        await self._hang_up(connection)
                        raise
            except DBAPIError as error:
                if self._creates_tables(error, attempt):
                    await self._create_tables()
                elif attempt > REPEATS or not is_deadlock(error):
                    raise

    async def _hang_up(self, connection: AsyncConnection) -> None:
        """Close a connection, politely for a moment only: its server may answer nothing, and what
        time there was may be over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.options.timeout * SECOND_CALL):
                await connection.invalidate()

    async def listen(self, heard: Heard) -> None:
        with self._explained("listen"):
            await listen(self._engine(), self.tables.channel, heard, self.options.timeout)

    async def create_tables(self) -> None:
        begun = deadline.begin(PATIENCE)
        try:
            await self._create_tables()
        finally:
            deadline.end(begun)

    async def _create_tables(self) -> None:
        engine = self._engine()
        if self.source is not None:
            engine = open_asynchronous(self.source, replace(self.options, timeout=PATIENCE))
        try:
            with self._explained("create_tables"):
                async with engine.connect() as connection:
                    await connection.run_sync(self.tables.create)
        finally:
            if self.source is not None:
                await engine.dispose()

    async def close(self) -> None:
        if self._given is None:
            await self._held.close()


def _dispose(held: PerProcess[Engine]) -> None:
    engine = held.pop()
    if engine is not None:
        engine.dispose()
