"""Store URLs of SQL databases: what they may say, and errors that name the part that is wrong."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ..errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Backend:
    """Drivers of one kind of database: (driver, module to import), the preferred one first."""

    name: str
    extra: str
    blocking: tuple[tuple[str, str], ...]
    asynchronous: tuple[tuple[str, str], ...]
    queries: frozenset[str] | None = None


SQLITE = Backend(
    "sqlite", "sql", (("pysqlite", "sqlite3"),), (("aiosqlite", "aiosqlite"),), frozenset()
)
POSTGRES = Backend("postgresql", "postgresql", (("psycopg", "psycopg"),), (("psycopg", "psycopg"),))
MYSQL = Backend(
    "mysql",
    "mysql",
    (("pymysql", "pymysql"),),
    (("asyncmy", "asyncmy"),),
    frozenset({"charset", "unix_socket", "ssl_ca", "ssl_cert", "ssl_key", "ssl_check_hostname"}),
)
BACKENDS = {
    "sqlite": SQLITE,
    "postgresql": POSTGRES,
    "postgres": POSTGRES,
    "mysql": MYSQL,
    "mariadb": MYSQL,
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
    if backend is SQLITE:
        return _sqlite_source(url)
    if backend is MYSQL and not url.database:
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
        return Source(SQLITE, memory, memory=f"{name}?vfs=memdb")
    file = Path(os.path.abspath(url.database))
    if not file.parent.is_dir():
        raise ConfigurationError(f"store URL: the folder {file.parent} does not exist")
    if file.is_dir():
        raise ConfigurationError(f"store URL: {file} is a folder, not a file")
    return Source(SQLITE, url.set(database=str(file)), file=file)
