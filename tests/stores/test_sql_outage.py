"""The SQL store when its server, its loop or its process goes away: bounded, and it comes back."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from openclaw_middleware.core.contract import Live, Saved
from openclaw_middleware.core.record import EndReason
from openclaw_middleware.errors import StoreUnavailable
from openclaw_middleware.stores.base import StoreOptions
from openclaw_middleware.stores.sql import AsyncSQLStore, SQLStore
from tests import process_tree
from tests.server_engines import MARIADB, POSTGRES
from tests.stores.sql_lab import OPTIONS, PATIENCE, Lab, each

SERVERS = {"postgresql": POSTGRES, "mysql": MARIADB}
COLOURS = ("sync", "async")
TIMEOUT = 1.0
# One verb: waiting for the pool, and one statement that is not answered; and a busy machine.
BOUND = 2 * TIMEOUT + 3.0


@pytest.fixture(scope="module", params=SERVERS)
def kind(request):
    return request.param


@pytest.fixture(params=COLOURS)
def colour(request):
    return request.param


@pytest.fixture(scope="module")
def server(servers, kind):
    """A server that only this module uses, and hurts; each test leaves it running."""
    server = servers.start(SERVERS[kind])
    yield server
    server.remove()


@pytest.fixture
def lab(kind, colour, server):
    lab = Lab(kind, colour, server.url, replace(OPTIONS, timeout=TIMEOUT))
    yield lab
    if not server.running:
        server.start()
    server.resume()
    lab.close()


def timed(call):
    began = time.monotonic()
    try:
        answer = call()
    except StoreUnavailable as error:
        answer = error
    return answer, time.monotonic() - began


def freeze(server):
    """Return when every thread of the server has really come to a stop, or to its end."""
    server.pause()
    deadline = time.monotonic() + PATIENCE
    family = (server.pid, *process_tree.descendants(server.pid))
    tasks = [task for pid in family for task in Path(f"/proc/{pid}/task").glob("*/stat")]
    while any(task.read_text().rpartition(")")[2].split()[0] not in "TZX" for task in tasks):
        assert time.monotonic() < deadline


def recovers(lab, record):
    """Soon, without a restart of ours; not at once, when the machine is busy."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        answer, _ = timed(lambda: lab.store.load(record.id))
        if isinstance(answer, Live):
            return True
    return False


class TestAFrozenServer:
    def test_every_verb_fails_in_time_and_works_again(self, lab, server):
        record = lab.live()
        freeze(server)
        for call in (
            lambda: lab.store.load(record.id),  # on a pooled connection
            lambda: lab.store.touch(record.id),  # on a new one, which is accepted but not answered
            lambda: lab.store.create(record),
            lambda: lab.store.end_user(record.tag, EndReason.REVOKED),
        ):
            answer, took = timed(call)
            assert isinstance(answer, StoreUnavailable), answer
            assert not answer.disconnected
            assert took < BOUND
        server.resume()
        assert recovers(lab, record)

    def test_so_do_thirty_at_once(self, lab, server):
        record = lab.live()
        each(10, lambda _: timed(lambda: lab.store.load(record.id)))
        freeze(server)
        answers = each(30, lambda _: timed(lambda: lab.store.load(record.id)))
        server.resume()
        for answer, took in answers:
            assert isinstance(answer, StoreUnavailable), answer
            assert took < BOUND
        assert recovers(lab, record)
        assert lab.store.engine.pool.checkedout() == 0

    def test_closing_does_not_hang(self, lab, server):
        record = lab.live()
        each(5, lambda _: timed(lab.store.now))
        freeze(server)
        timed(lab.store.now)
        began = time.monotonic()
        lab.store.close()
        assert time.monotonic() - began < BOUND
        server.resume()
        assert recovers(lab, record)


class TestADeafDriver:
    async def test_a_swallowed_cancellation_is_repeated(self, monkeypatch):
        """As when the deadline comes at the very moment a connection was made."""
        store = AsyncSQLStore("sqlite://", StoreOptions(timeout=0.2))

        class Deaf:
            async def __aenter__(self):
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
                await asyncio.Event().wait()

            async def __aexit__(self, *_):
                return None

        monkeypatch.setattr(store, "_engine", lambda: SimpleNamespace(connect=Deaf))
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(store.now(), 10)


class TestARestartedServer:
    def test_the_first_verb_afterwards_succeeds(self, lab, server):
        record = lab.live()
        each(5, lambda _: timed(lambda: lab.store.load(record.id)))
        lab.store.store.options = replace(lab.options, timeout=PATIENCE)
        server.restart()
        assert isinstance(lab.store.load(record.id), Live)
        assert isinstance(lab.store.save(record, write_id="w"), Saved)

    def test_a_killed_connection_is_replaced(self, lab, kind):
        record = lab.live()
        lab.store.store.options = replace(lab.options, timeout=PATIENCE)
        if kind == "postgresql":
            lab.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
        else:
            with lab.other._engine().connect() as connection:
                own = connection.execute(text("SELECT CONNECTION_ID()")).scalar_one()
                for (number,) in connection.execute(
                    text(
                        "SELECT id FROM information_schema.processlist"
                        " WHERE user = 'openclaw' AND id <> :own"
                    ),
                    {"own": own},
                ).all():
                    connection.execute(text(f"KILL {number}"))
        assert isinstance(lab.store.save(record, write_id="w"), Saved)

    def test_while_it_is_away_the_answer_is_quick(self, lab, server):
        record = lab.live()
        server.kill()
        for _ in range(2):
            answer, took = timed(lambda: lab.store.load("a.b"))
            assert isinstance(answer, StoreUnavailable), answer
            assert took < BOUND
        server.start()
        assert recovers(lab, record)


class TestALockedRow:
    def test_waiting_is_bounded_and_leaves_no_lock(self, lab):
        """The verb gives up, its connection is gone, and what it had locked is free."""
        old, new = lab.live(), lab.record()
        with lab.held(lab.other._atomic(lab.other._change(
            lab.other.statements.touch, old.id, 1e12, not_after=1e12, ago=0.0
        ))):  # fmt: skip
            answer, took = timed(lambda: lab.store.succeed(old.id, 1, new))
            assert isinstance(answer, StoreUnavailable), answer
            assert took < BOUND
            assert isinstance(lab.store.create(lab.record()), Saved), "the user's row is free"
        assert isinstance(lab.store.succeed(old.id, 1, new), Saved)
        assert lab.store.engine.pool.checkedout() == 0

    @pytest.mark.parametrize("colour", ["async"], indirect=True)
    def test_a_cancelled_verb_leaves_none_either(self, lab):
        lab.store.store.options = replace(lab.options, timeout=20.0)
        old, new = lab.live(), lab.record()
        steps = lab.ending(old)
        with lab.store.statements() as sent, lab.held(steps):
            future = lab.store.start("succeed", old.id, 1, new)
            while not any(statement.startswith("UPDATE") for statement in sent):
                assert not future.done()
            future.cancel()
            assert isinstance(lab.store.create(lab.record()), Saved)
        assert not isinstance(lab.store.load(new.id), Live)
        assert lab.store.engine.pool.checkedout() == 0


@pytest.fixture(params=["sqlite", "memory", "postgresql", "mysql"])
def shared_url(request, tmp_path):
    if request.param == "memory":
        return "sqlite://"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/sessions.db"
    return request.getfixturevalue(
        {"postgresql": "postgres_url", "mysql": "mariadb_url"}[request.param]
    )


class TestLoops:
    # aiosqlite's thread may still report to a loop that its test client has closed by then.
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    @pytest.mark.parametrize("orderly", [True, False])
    def test_one_store_on_a_loop_per_request(self, shared_url, namespace, orderly):
        """As test clients do it; the disorderly kind closes its loop and tells nobody."""
        store = AsyncSQLStore(shared_url, StoreOptions(namespace=namespace, timeout=20))

        def on_a_new_loop(call):
            if orderly:
                return asyncio.run(call)
            loop = asyncio.new_event_loop()
            try:
                return loop.run_until_complete(call)
            finally:
                loop.close()

        on_a_new_loop(store.create_tables())
        for _ in range(4):
            assert on_a_new_loop(store.now()) > 0
            gc.collect()
        asyncio.run(store.now())
        asyncio.run(store.close())
        gc.collect()

    def test_both_colours_side_by_side(self, shared_url, namespace):
        options = StoreOptions(namespace=namespace, timeout=20)
        blocking, asynchronous = SQLStore(shared_url, options), AsyncSQLStore(shared_url, options)
        blocking.create_tables()
        asyncio.run(asynchronous.create_tables())
        assert abs(blocking.now() - asyncio.run(asynchronous.now())) < 5
        blocking.close()


FORK = """
import asyncio, os, sys
from openclaw_middleware.stores.base import StoreOptions
from openclaw_middleware.stores.sql import AsyncSQLStore, SQLStore
blocking = SQLStore(sys.argv[1], StoreOptions(namespace=sys.argv[2], timeout=20))
asynchronous = AsyncSQLStore(sys.argv[1], StoreOptions(namespace=sys.argv[2], timeout=20))
blocking.create_tables()
async def use(times):
    for _ in range(times):
        await asynchronous.load("a.b")
with asyncio.Runner() as runner:
    runner.run(use(2))
    blocking.load("a.b")
    child = os.fork()
    if child == 0:
        for _ in range(20):
            blocking.load("a.b")
        asyncio.run(use(20))
        os._exit(0)
    runner.run(use(20))
    for _ in range(20):
        blocking.load("a.b")
    assert os.waitpid(child, 0)[1] == 0
    runner.run(use(1))
    runner.run(asynchronous.close())
blocking.load("a.b")
blocking.close()
"""


def test_a_forked_child_makes_its_own_connections(shared_url, namespace):
    # The threads of aiosqlite are gone in the child: 3.12 warns of forking with threads.
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", FORK]
    done = subprocess.run(
        [*command, shared_url, namespace], capture_output=True, timeout=60, cwd=os.getcwd()
    )
    assert done.returncode == 0, done.stderr.decode()
    assert not done.stderr, done.stderr.decode()


async def test_a_connection_is_closed_politely_for_a_moment_only(monkeypatch, tmp_path):
    """When the time of a verb is over, its server may not take a farewell either."""
    begun: list[bool] = []

    async def never(connection: AsyncConnection) -> None:
        begun.append(True)
        await asyncio.Event().wait()

    def broken(_statement: object) -> object:
        raise RuntimeError("the body's own")
        yield

    monkeypatch.setattr(AsyncConnection, "invalidate", never)
    store = AsyncSQLStore(f"sqlite:///{tmp_path / 'sessions.db'}", StoreOptions(timeout=0.5))
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(RuntimeError, match="the body's own"):
            await store._run(broken, None)
    assert begun
    await store.close()
