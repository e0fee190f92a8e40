"""From a checked store URL to SQLAlchemy engines with bounded waits. No statements of verbs here.

A URL names the database, not the colour: the driver follows from who asks. Engines are in
autocommit mode, so that a verb of one statement costs one trip; transactions are begun by
statement. The pool never pings: the shells repeat a verb that met a dead connection.
"""

from __future__ import annotations

import math
import os
import time
from importlib.util import find_spec
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool
from sqlalchemy.util import await_only

from ..core import deadline
from ..errors import MissingDependency
from .base import StoreOptions
from .name_lookup import await_names, names_known
from .sql_sqlite import LimitedConnection as LimitedSQLite
from .sql_sqlite import connect_in_thread
from .sql_urls import MYSQL, POSTGRES, SQLITE, Source

POOL_SIZE = 10
# The server gives up a little before we do: then the connection stays usable.
SERVER_SHARE = 0.9


def _with_driver(source: Source, drivers: tuple[tuple[str, str], ...]) -> URL:
    _, _, wanted = source.url.drivername.partition("+")
    candidates = [entry for entry in drivers if entry[0] == wanted] or list(drivers)
    for driver, module in candidates:
        if find_spec(module) is not None:
            return source.url.set(drivername=f"{source.backend.name}+{driver}")
    raise MissingDependency(candidates[0][1], source.backend.extra)


def open_blocking(source: Source, options: StoreOptions) -> Engine:
    url = _with_driver(source, source.backend.blocking)
    engine = create_engine(
        url,
        poolclass=LimitedPool,
        connect_args=_connect_args(source, options, asynchronous=False),
        **_common(options),
    )
    if source.backend is not SQLITE:
        connection = _limited(source)

        @event.listens_for(engine, "do_connect")
        def connect(_dialect: Any, _record: Any, args: Any, parameters: Any) -> Any:
            await_names(_hosts(parameters))
            return connection(*args, **parameters)

    _prepare(engine, source, options)
    return engine


def _limited(source: Source) -> Any:
    """Connects, to a connection that keeps the deadline."""
    if source.backend is POSTGRES:
        from .sql_psycopg import LimitedConnection

        return LimitedConnection.connect
    from .sql_pymysql import LimitedConnection as LimitedPyMySQL

    return LimitedPyMySQL


class LimitedPool(QueuePool):
    """Waits for a free connection no longer than the store work at hand may take."""

    @property
    def _timeout(self) -> float:
        return deadline.left()

    @_timeout.setter
    def _timeout(self, _seconds: float) -> None:
        pass


def open_asynchronous(source: Source, options: StoreOptions) -> AsyncEngine:
    url = _with_driver(source, source.backend.asynchronous)
    arguments = _connect_args(source, options, asynchronous=True)
    if source.backend is POSTGRES:
        from .sql_psycopg import LimitedAsyncConnection

        arguments["async_creator_fn"] = LimitedAsyncConnection.connect
    engine = create_async_engine(
        url, poolclass=AsyncAdaptedQueuePool, connect_args=arguments, **_common(options)
    )
    if source.backend is not SQLITE:

        @event.listens_for(engine.sync_engine, "do_connect")
        def before(_dialect: Any, _record: Any, _args: Any, parameters: Any) -> None:
            await_only(names_known(_hosts(parameters)))

    _prepare(engine.sync_engine, source, options)
    return engine


def _hosts(parameters: Any) -> list[str]:
    """What is looked up to connect with these."""
    if parameters.get("hostaddr"):
        return []
    return str(parameters.get("host") or "").split(",")


def _common(options: StoreOptions) -> dict[str, Any]:
    return {
        "isolation_level": "AUTOCOMMIT",
        "skip_autocommit_rollback": True,
        "hide_parameters": True,
        "pool_size": POOL_SIZE,
        "max_overflow": 0,
        "pool_timeout": options.timeout,
        "pool_use_lifo": True,
    }


def _connect_args(source: Source, options: StoreOptions, *, asynchronous: bool) -> dict[str, Any]:
    limit = options.timeout
    if source.backend is SQLITE:
        creator = {"async_creator_fn": connect_in_thread} if asynchronous else {}
        waiting = {"timeout": limit * SERVER_SHARE, "factory": LimitedSQLite}
        return {**creator, **waiting, "check_same_thread": False}
    if source.backend is MYSQL:
        return {"connect_timeout": math.ceil(limit)} if asynchronous else {}
    milliseconds = max(1, int(limit * SERVER_SHARE * 1000))
    settings = {
        "default_transaction_isolation": "read\\ committed",
        "statement_timeout": milliseconds,
        "lock_timeout": milliseconds,
        "idle_in_transaction_session_timeout": max(1000, 10 * milliseconds),
    }
    given = source.url.query.get("options", "")
    flags = [given] if isinstance(given, str) else list(given)
    flags += [f"-c {name}={value}" for name, value in settings.items()]
    return {
        "connect_timeout": max(2, math.ceil(limit)),
        "tcp_user_timeout": max(1, int(limit * 1000)),
        "options": " ".join(flag for flag in flags if flag),
    }


def _prepare(engine: Engine, source: Source, options: StoreOptions) -> None:
    """Set up each new connection."""
    seconds = options.timeout * SERVER_SHARE

    if source.backend is SQLITE:

        @event.listens_for(engine, "do_connect")
        def before(*_: Any) -> None:
            # Ours alone: payloads need not be encrypted.
            if source.file is not None and not source.file.exists():
                os.close(os.open(source.file, os.O_CREAT | os.O_RDWR, 0o600))

        @event.listens_for(engine, "connect")
        def set_up_sqlite(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            if source.file is not None:
                _write_ahead(cursor)
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.close()

    if source.backend is MYSQL:
        whole = max(1, math.ceil(seconds))

        @event.listens_for(engine, "connect")
        def set_up_mysql(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            # Strict: a value too long is an error, never cut. MySQL takes the rest for a comment.
            cursor.execute(
                "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
                " time_zone = '+00:00',"  # an hour that comes twice would set SYSDATE() back
                f" innodb_lock_wait_timeout = {whole}, lock_wait_timeout = {whole}"
                f" /*M! , max_statement_time = {seconds:.3f} */"
            )
            cursor.close()


def _write_ahead(cursor: Any) -> None:
    """Switch the file to WAL. The switch does not wait for a lock, so it is tried again."""
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.fetchall()
            return
        except Exception as error:
            if "locked" not in str(error) or deadline.passed():
                raise
            time.sleep(0.002)
