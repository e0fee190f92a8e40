"""From a store URL to SQLAlchemy engines with bounded waits. No statements of verbs here.

A URL names the database, not the colour: the driver follows from who asks. Engines are in
autocommit mode, so that a verb of one statement costs one trip; transactions are begun by
statement. The pool never pings: the shells repeat a verb that met a dead connection.
"""

from __future__ import annotations

import math
import os
import secrets
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

from ..errors import ConfigurationError, MissingDependency
from .base import StoreOptions

POOL_SIZE = 10
# The server gives up a little before we do: then the connection stays usable.
SERVER_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Backend:
    """Drivers of one kind of database: (driver, module to import), the preferred one first."""

    name: str
    extra: str
    blocking: tuple[tuple[str, str], ...]
    asynchronous: tuple[tuple[str, str], ...]
    queries: frozenset[str] | None = None


_SQLITE = Backend(
    "sqlite", "sql", (("pysqlite", "sqlite3"),), (("aiosqlite", "aiosqlite"),), frozenset()
)
_POSTGRES = Backend(
    "postgresql", "postgresql", (("psycopg", "psycopg"),), (("psycopg", "psycopg"),)
)
_MYSQL = Backend(
    "mysql",
    "mysql",
    (("pymysql", "pymysql"),),
    (("asyncmy", "asyncmy"),),
    frozenset({"charset", "unix_socket", "ssl_ca", "ssl_cert", "ssl_key", "ssl_check_hostname"}),
)
BACKENDS = {
    "sqlite": _SQLITE,
    "postgresql": _POSTGRES,
    "postgres": _POSTGRES,
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
}


@dataclass(frozen=True, slots=True)
class Source:
    """A checked store URL.

    Attributes:
        file: the database file, for SQLite in a file.
        memory: URI of the database in memory, for SQLite without a file. Connections of one
            process share it, whatever their thread, loop and colour.
    """

    backend: Backend
    url: URL
    file: Path | None = None
    memory: str | None = None


def parse(text: str) -> Source:
    """Check a store URL.

    Raises:
        ConfigurationError: the message names the part of the URL, and never the password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "store URL: it does not read as scheme://user:password@host:port/database; "
            "is the port a number, and are '@', ':' and '/' in the password percent-encoded?"
        ) from None
    scheme, _, driver = url.drivername.partition("+")
    backend = BACKENDS.get(scheme)
    if backend is None:
        raise ConfigurationError(
            f"store URL: unknown scheme {scheme!r}; known are: {', '.join(BACKENDS)}"
        )
    if driver and driver not in dict(backend.blocking + backend.asynchronous):
        raise ConfigurationError(
            f"store URL: driver {driver!r} is not supported; write {scheme}:// and leave the "
            "choice of the driver to the store"
        )
    for name in url.query:
        if backend.queries is not None and name not in backend.queries:
            raise ConfigurationError(f"store URL: option {name!r} is not known for {scheme}://")
    if backend is _SQLITE:
        return _sqlite_source(url)
    if backend is _MYSQL and not url.database:
        raise ConfigurationError(f"store URL: the database is missing after {url.host}/")
    return Source(backend, url)


def _sqlite_source(url: URL) -> Source:
    if url.host:
        raise ConfigurationError(
            f"store URL: sqlite://{url.host} names a host; a file has three slashes: "
            f"sqlite:///{url.host}, with four from the root: sqlite:////var/lib/sessions.db"
        )
    if not url.database or url.database == ":memory:":
        name = f"file:/openclaw-{secrets.token_hex(8)}"
        memory = url.set(database=name, query={"vfs": "memdb", "uri": "true"})
        return Source(_SQLITE, memory, memory=f"{name}?vfs=memdb")
    file = Path(os.path.abspath(url.database))
    if not file.parent.is_dir():
        raise ConfigurationError(f"store URL: the folder {file.parent} does not exist")
    if file.is_dir():
        raise ConfigurationError(f"store URL: {file} is a folder, not a file")
    return Source(_SQLITE, url.set(database=str(file)), file=file)


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
        poolclass=QueuePool,
        connect_args=_connect_args(source, options, asynchronous=False),
        **_common(options),
    )
    if source.backend is _POSTGRES:
        from .sql_psycopg import limited

        connection, _ = limited(options.timeout)

        @event.listens_for(engine, "do_connect")
        def connect(_dialect: Any, _record: Any, args: Any, parameters: Any) -> Any:
            return connection.connect(*args, **parameters)

    _prepare(engine, source, options)
    return engine


def open_asynchronous(source: Source, options: StoreOptions) -> AsyncEngine:
    url = _with_driver(source, source.backend.asynchronous)
    arguments = _connect_args(source, options, asynchronous=True)
    if source.backend is _POSTGRES:
        from .sql_psycopg import limited

        _, connection = limited(options.timeout)
        arguments["async_creator_fn"] = connection.connect
    engine = create_async_engine(
        url, poolclass=AsyncAdaptedQueuePool, connect_args=arguments, **_common(options)
    )
    _prepare(engine.sync_engine, source, options)
    return engine


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
    if source.backend is _SQLITE:
        return {"timeout": limit * SERVER_SHARE, "check_same_thread": False}
    if source.backend is _MYSQL:
        if asynchronous:
            return {"connect_timeout": math.ceil(limit)}
        return {"connect_timeout": limit, "read_timeout": limit, "write_timeout": limit}
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

    if source.backend is _SQLITE:

        @event.listens_for(engine, "do_connect")
        def before(*_: Any) -> None:
            # Ours alone: payloads need not be encrypted.
            if source.file is not None and not source.file.exists():
                os.close(os.open(source.file, os.O_CREAT | os.O_RDWR, 0o600))

        @event.listens_for(engine, "connect")
        def set_up_sqlite(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            if source.file is not None:
                _write_ahead(cursor, seconds)
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.close()

    if source.backend is _MYSQL:
        whole = max(1, math.ceil(seconds))

        @event.listens_for(engine, "connect")
        def set_up_mysql(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            # Strict: a value too long is an error, never cut. MySQL takes the rest for a comment.
            cursor.execute(
                "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
                f" innodb_lock_wait_timeout = {whole}, lock_wait_timeout = {whole}"
                f" /*M! , max_statement_time = {seconds:.3f} */"
            )
            cursor.close()


def _write_ahead(cursor: Any, seconds: float) -> None:
    """Switch the file to WAL. The switch does not wait for a lock, so it is tried again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.fetchall()
            return
        except Exception as error:
            if "locked" not in str(error) or time.monotonic() >= deadline:
                raise
            time.sleep(0.002)
