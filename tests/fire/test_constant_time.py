"""Log out everywhere costs the same for a user with ten sessions and with a hundred thousand."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, text

from openclaw_middleware import EndReason
from openclaw_middleware.core.contract import Ended, Live

from .ledger import Ledger
from .places import Place, Sites, fresh_user
from .visits import Visit, whoami

FEW, CAP, MANY = 10, 2_000, 100_000


def everywhere(visit: Visit) -> None:
    visit.session.logout_everywhere()


def multiply_sql(store: Any, session_id: str, count: int) -> None:
    """Copies of one session under further ids of the same user."""
    table = store.tables.sessions
    columns = ", ".join(column.name for column in table.columns if column.name != "id")
    copy = "s.id || 'copy' || n.i"
    with store._engine().connect() as connection:
        if store.capabilities.name in ("mysql", "mariadb"):
            copy = "CONCAT(s.id, 'copy', n.i)"
            connection.execute(text(f"SET max_recursive_iterations = {MANY}"))
        connection.execute(
            text(
                f"INSERT INTO {table.name} (id, {columns})"
                " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)"
                f" SELECT {copy}, {columns} FROM {table.name} s, n WHERE s.id = :id"
            ),
            {"id": session_id, "count": count},
        )


def multiply_redis(store: Any, session_id: str, count: int) -> None:
    client = store._client()
    key, _, index = store._keys(session_id)
    content, life, score = client.dump(key), client.pttl(key), client.zscore(index, session_id)
    for start in range(0, count, 10_000):
        pipe = client.pipeline(transaction=False)
        ids = range(start, min(start + 10_000, count))
        for n in ids:
            pipe.restore(f"{key}copy{n}", life, content)
        pipe.zadd(index, {f"{session_id}copy{n}": score for n in ids})
        pipe.execute()


def sql_steps(store: Any, call: Callable[[], object]) -> int:
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(store._engine(), "before_cursor_execute", note)
    try:
        call()
    finally:
        event.remove(store._engine(), "before_cursor_execute", note)
    return len(sent)


def redis_steps(store: Any, call: Callable[[], object]) -> int:
    """Commands the server performed, those inside scripts included."""

    def performed() -> int:
        stats = store._client().info("commandstats")
        return sum(each["calls"] for name, each in stats.items() if "info" not in name)

    before = performed()
    call()
    return performed() - before


@pytest.fixture
def lonely(place: Place, request: pytest.FixtureRequest) -> Place:
    """On Redis a server of the test's own, whose commands nobody else counts up."""
    if place.name != "redis":
        return place
    return Place("redis", request.getfixturevalue("private_redis")().url, place.namespace)


@pytest.mark.parametrize("place", ["sqlite", "postgres", "mariadb", "redis"], indirect=True)
def test_it_costs_the_same_for_a_hundred_thousand(
    sites: Sites, lonely: Place, ledger: Ledger
) -> None:
    """The same number of statements or commands; all sessions are dead, and a page is listed."""
    site = sites("flask", lonely)
    store = site.runtime.blocking.store
    on_redis = lonely.name == "redis"
    multiply = multiply_redis if on_redis else multiply_sql
    steps = redis_steps if on_redis else sql_steps
    found: dict[int, tuple[int, float, float]] = {}
    for count in (FEW, FEW, CAP, MANY):  # the first one is for practice
        user = fresh_user()
        ada = site.signed_in(user)
        session_id = site.manage("sessions_of", user).items[0].id
        multiply(store, session_id, count - 1)
        copy = f"{session_id}copy{count - 2}"
        assert isinstance(store.load(copy), Live)
        seconds: list[float] = []

        def end(ada: Any = ada, seconds: list[float] = seconds) -> None:
            answer = ada.do(everywhere)
            assert answer.clears
            seconds.append(answer.seconds)

        trips = steps(store, end)
        again = []
        for _ in range(3):
            began = time.monotonic()
            site.manage("revoke_user", user, reason=EndReason.REVOKED)
            again.append(time.monotonic() - began)
        found[count] = trips, seconds[0], statistics.median(again)
        assert ada.ok(whoami)["user"] is None
        assert isinstance(store.load(copy), Ended)
        assert site.manage("sessions_of", user).items == ()
    for count, (trips, first, again) in found.items():
        ledger.notes.append(
            f"{lonely.name}: log out everywhere of {count} sessions: {trips} statements or "
            f"commands, {first * 1000:.1f} ms; once more {again * 1000:.1f} ms"
        )
    assert found[FEW][0] == found[CAP][0] == found[MANY][0]
    with ledger.trials("everywhere: O(1)", f"{lonely.name} sync") as trials:
        # Loose, for busy machines: a hundred thousand rows take hundreds of milliseconds.
        trials.check(found[MANY][1] < found[FEW][1] * 20 + 0.1, found)
        trials.check(found[MANY][2] < found[FEW][2] * 20 + 0.1, found)
