"""A server that answers and refuses: full, read-only, out of connections.

Reads go on where the engine allows them; what could not be written is never reported as done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest
import redis

from tests.server_process import ServerProcess

from .ledger import Ledger
from .ordeal import (
    TIMEOUT,
    Ordeal,
    at_once,
    in_time,
    nothing_leaked,
    unavailable,
    under_way,
    wait_for,
)
from .places import Place
from .test_outage import open_ordeals
from .visits import Visit, login, logout, read, write

Start = Callable[..., ServerProcess]


class Refused(Ordeal):
    """Reads are answered, writes are refused."""

    def refused(self, *, logs_out: bool) -> None:
        """Readers notice nothing; writers are told; nothing is stored."""
        answer = in_time(self.ada.do(read))
        assert (answer.status, answer.data, answer.ours) == (200, {"a": 1}, [])
        for attempt in (write(big="x" * 50_000), regenerate):
            unavailable(in_time(self.ada.do(attempt)))
            assert self.ada.do(read).status == 200
        unavailable(in_time(self.site.visitor().do(login("eve"))))
        # However many writers are refused in a row, readers are not.
        for _ in range(4):
            unavailable(in_time(self.ada.do(write(c=3))))
        assert self.ada.do(read).status == 200
        bye = in_time(self.bob.do(logout))
        if logs_out:
            assert (bye.status, bye.clears) == (200, True)
            assert len(self.site.manage("sessions_of", self.users[1]).items) == 0
        else:
            unavailable(bye, clears=True)
        self.unaffected()
        assert self.ada.ok(read) == {"a": 1}

    def mended(self) -> None:
        """Everything is as it was, and can be changed again."""
        wait_for(lambda: self.ada.do(write(b=2)).status == 200)
        assert self.ada.ok(read) == {"a": 1, "b": 2}
        assert len(self.site.manage("sessions_of", self.users[0]).items) == 1
        assert self.site.manage("sessions_of", "eve").items == ()


def regenerate(visit: Visit) -> None:
    visit.session.regenerate()


def endure(
    place: Place,
    ledger: Ledger,
    promise: str,
    hurt: Callable[[], object],
    mend: Callable[[], object],
    *,
    logs_out: bool,
    store_timeout: float = 5 * TIMEOUT,
) -> None:
    """Args:
    store_timeout: a refusal comes at once, so it may be long: a busy machine is no outage.
    """
    with ExitStack() as stack:
        ordeals = open_ordeals(stack, place, ordeal=Refused, store_timeout=store_timeout)
        before = under_way(ordeals)
        hurt()
        try:
            at_once(ordeals, "refused", logs_out=logs_out)
        finally:
            mend()
        at_once(ordeals, "mended")
        nothing_leaked(ordeals, before)
        for each in ordeals:
            with ledger.trials(promise, f"{place.name} {each.site.colour}") as trials:
                trials.check(True)


def turned_away(
    place: Place, ledger: Ledger, hurt: Callable[[], object], mend: Callable[[], object]
) -> None:
    """The outage's rules for a server that turns everybody away."""
    with ExitStack() as stack:
        ordeals = open_ordeals(stack, place)
        before = under_way(ordeals)
        at_once(ordeals, "before")
        hurt()
        try:
            at_once(ordeals, "away")
            at_once(ordeals, "storm")
        finally:
            mend()
        at_once(ordeals, "recovered")
        nothing_leaked(ordeals, before)
        for each in ordeals:
            colour = f"{place.name} {each.site.colour}"
            with ledger.trials("outage: no connections", colour) as trials:
                trials.check(True)


@pytest.fixture
def on_redis(private_redis: Start, namespace: str) -> Iterator[tuple[Place, Any]]:
    server = private_redis()
    with redis.Redis.from_url(server.url) as client:
        yield Place("redis", server.url, namespace), client


def test_a_full_redis_lets_people_out(on_redis: Any, ledger: Ledger) -> None:
    """With `noeviction` and no memory left: 503 for writes, logouts work, nobody is evicted."""
    place, client = on_redis

    def fill() -> None:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)

    endure(
        place,
        ledger,
        "refusing: full",
        fill,
        lambda: client.config_set("maxmemory", 0),
        logs_out=True,
    )


def test_a_read_only_redis(on_redis: Any, ledger: Ledger) -> None:
    """After a failover to a replica that was not promoted yet: readers go on, writers wait."""
    place, client = on_redis

    def demote() -> None:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")

    endure(
        place,
        ledger,
        "refusing: read-only",
        demote,
        lambda: client.execute_command("REPLICAOF", "NO", "ONE"),
        logs_out=False,
    )


def test_a_redis_without_connections(on_redis: Any, ledger: Ledger) -> None:
    """`maxclients` is reached: the outage's rules, until there is room."""
    place, client = on_redis

    def hurt() -> None:
        client.config_set("maxclients", 1)
        client.client_kill_filter(_type="normal", skipme=True)

    turned_away(place, ledger, hurt, lambda: client.config_set("maxclients", 10_000))


@contextmanager
def administrator(server: ServerProcess) -> Iterator[Any]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        yield connection


def test_a_read_only_postgresql(private_postgres: Start, namespace: str, ledger: Ledger) -> None:
    """`default_transaction_read_only`, as on a standby: readers go on, writers wait."""
    server = private_postgres()
    place = Place("postgres", server.url, namespace)
    place.create_tables()
    with administrator(server) as admin:

        def switch(state: str) -> None:
            admin.execute("SET default_transaction_read_only = off")
            admin.execute(f"ALTER SYSTEM SET default_transaction_read_only = {state}")
            admin.execute("SELECT pg_reload_conf()")
            with psycopg.connect(server.url) as probe:
                wait_for(lambda: _shows(probe, state))

        endure(
            place,
            ledger,
            "refusing: read-only",
            lambda: switch("on"),
            lambda: switch("off"),
            logs_out=False,
        )


def _shows(connection: Any, state: str) -> bool:
    found = connection.execute("SHOW default_transaction_read_only").fetchone()
    connection.rollback()
    return bool(found[0] == state)


def test_a_postgresql_without_connections(
    private_postgres: Start, namespace: str, ledger: Ledger
) -> None:
    """All of `max_connections` are taken by others: the outage's rules, until one is free."""
    server = private_postgres("--max_connections=40", "--superuser_reserved_connections=0")
    place = Place("postgres", server.url, namespace)
    place.create_tables()
    taken: list[Any] = []

    def take_all() -> None:
        while True:
            try:
                taken.append(psycopg.connect(server.url, autocommit=True))
            except psycopg.OperationalError:
                return

    def hurt() -> None:
        take_all()
        taken[0].execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND NOT pid = ANY(%s)",
            ([each.info.backend_pid for each in taken],),
        )
        wait_for(lambda: _others(taken) == 0)
        take_all()

    def mend() -> None:
        for each in taken:
            each.close()

    turned_away(place, ledger, hurt, mend)


def _others(taken: list[Any]) -> int:
    found = taken[0].execute(
        "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()"
    )
    return int(found.fetchone()[0]) - len(taken)
