"""MariaDB and SQLite where they answer and refuse: read-only, locked, full, out of connections.

What every application must do then is in `test_refusals` and `ordeal`.
"""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pymysql
import pytest
from sqlalchemy import event, make_url
from sqlalchemy.pool import Pool

from tests.server_process import ServerProcess

from .browsing import Browser, server_process
from .ledger import Ledger
from .ordeal import TIMEOUT, unavailable, wait_for
from .places import Place
from .test_refusals import Start, endure, turned_away

APP = "app"


@contextmanager
def connected(server: ServerProcess, user: str = "openclaw") -> Iterator[Any]:
    """A connection of somebody else's."""
    where = make_url(server.url)
    connection = pymysql.connect(
        host=where.host, port=where.port, user=user, password=user, autocommit=True
    )
    try:
        yield connection
    finally:
        connection.close()


def ask(connection: Any, statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


@pytest.fixture
def on_mariadb(private_mariadb: Start, namespace: str) -> Iterator[tuple[Place, Any, Any]]:
    """A server, its administrator, and a place for an application that is none."""
    server = private_mariadb("--max-connections=30")
    with connected(server) as admin:
        ask(admin, f"CREATE USER {APP}@'%' IDENTIFIED BY '{APP}'")
        ask(admin, f"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, INDEX ON openclaw.* TO {APP}")
        url = make_url(server.url).set(username=APP, password=APP)
        place = Place("mariadb", url.render_as_string(hide_password=False), namespace)
        place.create_tables()
        yield place, server, admin


def test_a_read_only_mariadb(on_mariadb: Any, ledger: Ledger) -> None:
    """`read_only`, as on a replica: readers go on, writers wait."""
    place, _, admin = on_mariadb
    endure(
        place,
        ledger,
        "refusing: read-only",
        lambda: ask(admin, "SET GLOBAL read_only = ON"),
        lambda: ask(admin, "SET GLOBAL read_only = OFF"),
        logs_out=False,
    )


def test_a_mariadb_without_connections(on_mariadb: Any, ledger: Ledger) -> None:
    """All of `max_connections` are taken by others: the outage's rules, until one is free."""
    place, server, admin = on_mariadb
    with ExitStack() as taken:
        mine: set[int] = set()

        def take_all() -> None:
            with suppress(pymysql.err.OperationalError):
                while True:
                    mine.add(taken.enter_context(connected(server, APP)).thread_id())

        def others() -> set[int]:
            rows = ask(admin, f"SELECT id FROM information_schema.processlist WHERE user = '{APP}'")
            return {row[0] for row in rows} - mine

        def hurt() -> None:
            take_all()
            for each in others():
                with suppress(pymysql.err.OperationalError):
                    ask(admin, f"KILL {each}")
            wait_for(lambda: not others())
            take_all()

        turned_away(place, ledger, hurt, taken.close)


@pytest.fixture
def file(tmp_path: Any, namespace: str) -> Place:
    place = Place("sqlite", f"sqlite:///{tmp_path}/sessions.db", namespace)
    place.create_tables()
    return place


@contextmanager
def on_every_connection(pragma: str, otherwise: str) -> Iterator[Callable[[bool], None]]:
    """A switch for a pragma that is set whenever a connection leaves a pool."""
    state = [False]

    def set_pragma(connection: Any, *_: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA {pragma if state[0] else otherwise}")
        cursor.close()

    def switch(on: bool) -> None:
        state[0] = on

    event.listen(Pool, "checkout", set_pragma)
    try:
        yield switch
    finally:
        event.remove(Pool, "checkout", set_pragma)


def test_a_read_only_sqlite(file: Place, ledger: Ledger) -> None:
    """SQLITE_READONLY for every write, as on a file system that went read-only."""
    with on_every_connection("query_only = ON", "query_only = OFF") as switch:
        endure(
            file,
            ledger,
            "refusing: read-only",
            lambda: switch(True),
            lambda: switch(False),
            logs_out=False,
        )


@pytest.mark.parametrize("kind", ["flask", "starlette"])
def test_a_disk_that_takes_no_more(file: Place, kind: str, ledger: Ledger) -> None:
    """A process may not write to files any more, and SQLite cannot even be read for long then.

    Everybody is told 503 and keeps the cookie; nothing is reported that is not stored.
    """
    with ExitStack() as stack:
        process, url = stack.enter_context(server_process(kind, file))
        ada, bob, eve, nobody = (Browser(url) for _ in range(4))
        for each in (ada, bob, eve, nobody):
            stack.callback(each.close)
        assert (ada.ask("/login/ada"), bob.ask("/login/bob")) == ("ada", "bob")
        assert ada.ask("/count/x") == 1
        usual = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, usual[1]))
        try:
            for _ in range(3):
                unavailable(ada.get("/count/x"))
                looked = ada.get("/number/x")
                assert looked.status == 503 or looked.body == b"1"
            unavailable(eve.get("/login/eve"))
            token = bob.cookie
            unavailable(bob.get("/logout/x"), clears=True)
            assert nobody.ask("/public/x") == "everybody"
        finally:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, usual)
        bob.cookie = token
        wait_for(lambda: ada.get("/me/x").status == 200)
        found = [ada.ask("/count/x"), bob.ask("/me/x"), eve.ask("/me/x"), eve.ask("/login/eve")]
    with ledger.trials("refusing: full", f"sqlite {kind}") as trials:
        trials.check(found == [2, "bob", "", "eve"], found)


def test_a_locked_sqlite(file: Place, ledger: Ledger) -> None:
    """Another program holds the file's write lock: readers go on, writers give up in time."""
    with sqlite3.connect(file.url.removeprefix("sqlite:///"), isolation_level=None) as other:
        endure(
            file,
            ledger,
            "refusing: locked",
            lambda: other.execute("BEGIN IMMEDIATE"),
            lambda: other.execute("ROLLBACK"),
            logs_out=False,
            store_timeout=TIMEOUT,
        )
    other.close()
