"""An empty database of a test's own on a shared server, at the price of a statement or two."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
import pymysql
import redis
from sqlalchemy.engine import URL, make_url


def namespace() -> str:
    """Return a name that nobody else uses, fit for key prefixes and table names."""
    return f"t{secrets.token_hex(6)}"


@contextmanager
def empty_database(server: str) -> Iterator[str]:
    """Yield the URL of a new, empty database on the server; it is gone afterwards."""
    url = make_url(server)
    kind = url.get_backend_name()
    with _MAKERS[kind](url.set(drivername=kind)) as made:
        yield _text(made)


@contextmanager
def _redis(url: URL) -> Iterator[URL]:
    """Redis has numbered databases; one with nothing in it is taken, and emptied again."""
    with redis.Redis.from_url(_text(url)) as client:
        count = int(client.config_get("databases")["databases"])
        used = {int(name.removeprefix("db")) for name in client.info("keyspace")}
    number = min(set(range(1, count)) - used - _taken)
    _taken.add(number)
    made = url.set(database=str(number))
    try:
        yield made
    finally:
        with redis.Redis.from_url(_text(made)) as client:
            client.flushdb()
        _taken.discard(number)


_taken: set[int] = set()


@contextmanager
def _postgres(url: URL) -> Iterator[URL]:
    name, text = namespace(), _text(url)
    with psycopg.connect(text, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield url.set(database=name)
    finally:
        with psycopg.connect(text, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _mariadb(url: URL) -> Iterator[URL]:
    name = namespace()
    with _mariadb_cursor(url) as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    try:
        yield url.set(database=name)
    finally:
        with _mariadb_cursor(url) as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", (name,))
            for (connection,) in cursor.fetchall():  # one left open would make the drop wait
                with suppress(pymysql.err.OperationalError):
                    cursor.execute(f"KILL {connection}")
            cursor.execute(f"DROP DATABASE {name}")


@contextmanager
def _mariadb_cursor(url: URL) -> Iterator[pymysql.cursors.Cursor]:
    connection = pymysql.connect(
        host=url.host,
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        autocommit=True,
    )
    with connection, connection.cursor() as cursor:
        yield cursor


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


_MAKERS = {"redis": _redis, "postgresql": _postgres, "mysql": _mariadb, "mariadb": _mariadb}
