"""What the SQL store does beyond the conformance suite: URLs, tables, clocks, exactness, costs."""

from __future__ import annotations

import asyncio
import math
import random
import sqlite3
import stat
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from openclaw_middleware.core.contract import Conflict, Ended, Live, Missing, Saved
from openclaw_middleware.core.record import EndReason
from openclaw_middleware.errors import ConfigurationError, MissingDependency, StoreUnavailable
from openclaw_middleware.stores import sql_engines, sql_urls
from openclaw_middleware.stores.base import StoreOptions
from openclaw_middleware.stores.sql import AsyncSQLStore, SQLStore
from tests.stores.sql_lab import OPTIONS, Blocking, Lab, each

KINDS = ("sqlite", "postgresql", "mysql")
COLOURS = ("sync", "async")


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(params=COLOURS)
def colour(request):
    return request.param


@pytest.fixture
def url(request, kind, tmp_path):
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/sessions.db"
    name = {"postgresql": "postgres_url", "mysql": "mariadb_url"}[kind]
    return request.getfixturevalue(name)


@pytest.fixture
def lab(kind, colour, url):
    lab = Lab(kind, colour, url)
    yield lab
    lab.close()


only = {kind: pytest.mark.parametrize("kind", [kind], indirect=True) for kind in KINDS}
servers = pytest.mark.parametrize("kind", KINDS[1:], indirect=True)


class TestURLs:
    @pytest.mark.parametrize(
        ("url", "names"),
        [
            ("postgresql://u:secret-word@h:port/d", "port"),
            ("mysql://u:secret-word@h:3306", "database"),
            ("mysql://u:secret-word@h/d?autocommit=1", "'autocommit'"),
            ("postgresql+asyncpg://u:secret-word@h/d", "'asyncpg'"),
            ("mysql+mysqldb://u:secret-word@h/d", "'mysqldb'"),
            ("oracle://u:secret-word@h/d", "'oracle'"),
            ("sqlite://sessions.db", "three slashes"),
            ("sqlite:////no/such/folder/s.db", "/no/such/folder"),
            ("sqlite:////tmp", "folder"),
            ("sqlite:///s.db?mode=ro", "'mode'"),
        ],
    )
    @pytest.mark.parametrize("store", [SQLStore, AsyncSQLStore])
    def test_a_bad_one_is_refused_naming_the_part(self, store, url, names):
        with pytest.raises(ConfigurationError) as caught:
            store(url)
        assert names in str(caught.value)
        assert "secret-word" not in str(caught.value)

    @pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
    def test_they_name_no_colour(self, scheme):
        source = sql_urls.parse(f"{scheme}://u:p@h/d")
        assert sql_engines.open_blocking(source, OPTIONS).driver == "psycopg"
        assert sql_engines.open_asynchronous(source, OPTIONS).driver == "psycopg"

    @pytest.mark.parametrize("scheme", ["mysql", "mariadb"])
    def test_nor_a_driver(self, scheme):
        source = sql_urls.parse(f"{scheme}://u:p@h/d")
        assert sql_engines.open_blocking(source, OPTIONS).driver == "pymysql"
        assert sql_engines.open_asynchronous(source, OPTIONS).driver == "asyncmy"

    def test_a_missing_driver_names_the_extra(self, monkeypatch):
        monkeypatch.setattr(sql_engines, "find_spec", lambda name: None)
        for store in (SQLStore, AsyncSQLStore):
            with pytest.raises(MissingDependency, match=r"openclaw-middleware\[postgresql\]"):
                store("postgresql://u:p@h/d")

    def test_an_engine_of_the_wrong_colour_is_refused_naming_the_mend(self):
        with pytest.raises(ConfigurationError, match="create_engine"):
            SQLStore(create_async_engine("sqlite+aiosqlite://"))
        with pytest.raises(ConfigurationError, match="create_async_engine"):
            AsyncSQLStore(create_engine("sqlite://"))

    @pytest.mark.parametrize("namespace", ["", "a-b", "A", 'x"; --', "a" * 41])
    def test_a_bad_namespace_is_refused(self, namespace):
        with pytest.raises(ConfigurationError, match="namespace"):
            SQLStore("sqlite://", StoreOptions(namespace=namespace))

    @servers
    def test_no_password_in_what_a_failure_says(self, kind, colour):
        store = Blocking(colour, f"{kind}://someone:secret-word@127.0.0.1:1/d")
        with pytest.raises(StoreUnavailable) as caught:
            store.load("a.b")
        seen = caught.value
        while seen is not None:
            assert "secret-word" not in str(seen)
            seen = seen.__cause__ or seen.__context__
        store.finish()


class TestTables:
    @servers
    def test_missing_ones_are_answered_with_the_command(self, lab):
        store = lab.another(namespace="nowhere")
        with pytest.raises(StoreUnavailable, match="python -m openclaw_middleware tables create"):
            store.load("a.b")

    def test_creating_is_safe_to_repeat_and_to_run_at_once(self, lab):
        record = lab.live()
        stores = [lab.another(namespace=f"{lab.options.namespace}x") for _ in range(4)]
        try:
            each(4, lambda number: stores[number].create_tables())
            lab.store.create_tables()
            assert isinstance(lab.store.load(record.id), Live)
            assert isinstance(stores[0].load(record.id), Missing), "namespaces are apart"
            assert isinstance(stores[0].create(record), Saved)
            stores[1].end(record.id, EndReason.REVOKED)
            assert isinstance(lab.store.load(record.id), Live)
        finally:
            for table in ("sessions", "users", "layout"):
                lab.sql(f"DROP TABLE {lab.options.namespace}x_{table}")

    def test_those_of_a_newer_release_are_left_alone(self, lab):
        lab.sql(f"UPDATE {lab.options.namespace}_layout SET version = 99")
        with pytest.raises(ConfigurationError, match="layout 99"):
            lab.store.create_tables()

    def test_a_failure_shows_neither_statement_nor_payload(self, lab):
        record = lab.record(payload=b"private-note")
        with pytest.raises(StoreUnavailable) as caught:
            lab.store.create(replace(record, policy=None))
        assert "INSERT" not in str(caught.value)
        assert "private-note" not in str(caught.value) + str(caught.value.__cause__)


class TestConnections:
    def test_each_is_set_up(self, lab, kind):
        """Isolation, durability, and limits within the time a verb may take."""
        questions = {
            "sqlite": "SELECT synchronous, journal_mode, timeout < 20000 AND timeout > 15000"
            " FROM pragma_synchronous, pragma_journal_mode, pragma_busy_timeout",
            "postgresql": "SELECT current_setting('default_transaction_isolation'),"
            " current_setting('statement_timeout'), current_setting('lock_timeout')",
            "mysql": "SELECT @@tx_isolation, @@max_statement_time + 0e0,"
            " @@innodb_lock_wait_timeout, @@time_zone",
        }
        answers = {
            "sqlite": (2, "wal", 1),
            "postgresql": ("read committed", "18s", "18s"),
            "mysql": ("READ-COMMITTED", 18.0, 18, "+00:00"),
        }

        def ask():
            yield from lab.store.store._atomic(iter(()))
            return (yield text(questions[kind]), {})

        async def aask():
            return await lab.store.store._run(ask)

        if lab.colour == "sync":
            rows = lab.store.store._run(ask)
        else:
            rows = asyncio.run_coroutine_threadsafe(aask(), lab.store._loop).result(20)
        assert tuple(rows[0]) == answers[kind]


class TestExactness:
    def test_times_come_back_bit_for_bit(self, lab):
        source = random.Random(7)
        for _ in range(50):
            created = source.choice([round, lambda x, _: x])(source.uniform(1e9, 1.7e9), 6)
            record = lab.record(
                created_at=created,
                authenticated_at=math.nextafter(lab.other.now(), source.choice([0, math.inf])),
                valid_from=math.nextafter(created, math.inf),
                idle_timeout=source.uniform(1e9, 2e9),
                absolute_timeout=source.choice([math.inf, 28800, 2.0**31 + 1 / 3]),
            )
            lab.store.create(record)
            found = lab.store.load(record.id).record
            assert replace(found, last_active_at=0.0, promoted_at=0.0) == replace(
                record, last_active_at=0.0, promoted_at=0.0
            )

    @pytest.mark.parametrize("user", ["ß𝄞 '\"\\%s:x", " padded ", "x" * 3000])
    def test_so_do_odd_user_ids(self, lab, user):
        record = replace(lab.record("odd"), user_id=user)
        lab.store.create(record)
        assert lab.store.load(record.id).record.user_id == user
        assert isinstance(lab.store.end(record.id, EndReason.REVOKED, user_id=user + " "), Missing)
        assert lab.store.end(record.id, EndReason.REVOKED, user_id=user).fresh

    def test_a_payload_of_a_mebibyte(self, lab):
        payload = random.Random(3).randbytes(1 << 20)
        record = lab.live(payload=payload)
        assert lab.store.load(record.id).record.payload == payload

    def test_ids_differ_by_case_and_by_blanks(self, lab):
        record = replace(lab.record(), id="tag-ada.abc")
        lab.store.create(record)
        for other in ("tag-ada.ABC", "tag-ada.abc ", "TAG-ADA.abc", "tag-ada.abc\0", "é.x", ""):
            assert isinstance(lab.store.load(other), Missing), other
            assert isinstance(lab.store.end(other, EndReason.REVOKED), Missing), other

    def test_users_are_told_apart_byte_by_byte(self, lab):
        """Whatever order of letters the server was set up with."""
        users = ["a", "A", "a-", "a_", "a0", "-a", "ab", "aB"]
        records = {user: {lab.live(user, payload=b"").id for _ in range(6)} for user in users}
        for user, ids in records.items():
            first = lab.store.sessions_of(f"tag-{user}", count=4)
            rest = lab.store.sessions_of(f"tag-{user}", count=4, cursor=first.cursor)
            found = [record.id for record in first.records + rest.records]
            assert rest.cursor is None
            assert found == sorted(ids)
            assert lab.store.end_user(f"tag-{user}", EndReason.REVOKED).ended == 6


class TestWriteIds:
    def test_a_lost_answer_is_recognised_behind_later_writes(self, lab):
        """Others saved between our write and its repetition: still ours, not a conflict."""
        record = lab.live()
        lab.store.save(record, write_id="ours")
        for number in range(6):
            current = lab.store.load(record.id).record
            lab.store.save(current, write_id=f"theirs-{number}")
        again = lab.store.save(record, write_id="ours")
        assert isinstance(again, Saved), again
        assert again.version == 2
        assert isinstance(lab.store.save(record, write_id="never"), Conflict)

    @only["sqlite"]
    def test_a_session_at_rest_carries_few_of_them(self, lab):
        """Half a minute after the last write nobody repeats one, and the next write forgets."""
        now = [lab.other.now()]
        store = lab.another(clock=lambda: now[0])
        record = lab.live()
        for number in range(200):
            store.save(replace(record, version=number + 1), write_id=f"{number:018}")
        [[kept]] = lab.sql("SELECT earlier_writes FROM {s} WHERE id = :id", id=record.id)
        assert 120 < len(kept.split()) < 140
        now[0] += 31
        assert isinstance(store.save(replace(record, version=201), write_id="late"), Saved)
        [[kept]] = lab.sql("SELECT earlier_writes FROM {s} WHERE id = :id", id=record.id)
        assert kept == f"{199:018}"


class TestClocks:
    @servers
    def test_the_databases_own_decides(self, lab):
        wrong = lab.another(clock=lambda: time.time() + 3600)
        assert wrong.capabilities.clock == "store"
        assert abs(wrong.now() - time.time()) < 60
        record = lab.live(idle_timeout=600.0)
        assert isinstance(wrong.touch(record.id), Live)
        assert isinstance(wrong.load(record.id), Live)

    @only["sqlite"]
    def test_sqlite_goes_by_the_given_one(self, lab):
        wrong = lab.another(clock=lambda: time.time() + 3600)
        assert wrong.capabilities.clock == "application"
        assert isinstance(wrong.load(lab.live(idle_timeout=600.0).id), Ended)

    @only["mysql"]
    @pytest.mark.parametrize("zone", ["+13:00", "-12:00"])
    def test_whatever_the_sessions_time_zone(self, lab, zone):
        with lab.other._engine().connect() as connection:
            connection.execute(text(f"SET time_zone = '{zone}'"))
            now = connection.execute(lab.other.statements.now).scalar_one()
            connection.invalidate()
        assert abs(now - time.time()) < 60


class TestCosts:
    def test_statements_per_verb(self, lab, kind):
        record = lab.live()
        fetch = kind == "mysql"  # no UPDATE ... RETURNING there
        lock = 2 if kind == "sqlite" else 0  # BEGIN IMMEDIATE and COMMIT
        with lab.store.statements() as sent:
            lab.store.load(record.id)
            assert len(sent) == 1
            lab.store.touch(record.id)
            assert len(sent) == 2 + fetch + lock
            sent.clear()
            lab.store.save(record, write_id="w")
            assert len(sent) == 1 + fetch + lock

    def test_log_out_everywhere_does_not_grow_with_the_sessions(self, lab):
        for _ in range(30):
            lab.live()
        with lab.store.statements() as sent:
            answer = lab.store.end_user("tag-ada", EndReason.REVOKED)
        assert answer.ended == 30
        assert len(sent) == 5
        assert len([s for s in sent if s.startswith(("UPDATE", "INSERT", "DELETE"))]) == 1

    @only["postgresql"]
    def test_touches_are_heap_only(self, lab):
        records = [lab.live(f"user{n}", payload=random.randbytes(500)) for n in range(20)]
        for _ in range(20):
            for record in records:
                lab.store.touch(record.id)
        deadline = time.monotonic() + 10
        updated = hot = 0
        while updated < 400 and time.monotonic() < deadline:
            lab.store.now()  # a backend reports its counts when it comes to rest
            updated, hot = lab.sql(
                "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = :name",
                name=f"{lab.options.namespace}_sessions",
            )[0]
        assert updated >= 400
        assert hot >= 0.95 * updated

    @servers
    def test_lookups_use_the_indexes(self, lab, kind):
        for number in range(300):
            lab.live(f"user{number}")
        statements = lab.other.statements
        wanted = {
            "id": "tag-user7.x",
            "tag": "tag-user7",
            "low": "tag-user7.",
            "high": "tag-user7/",
        }
        extra = {"count": 10, "at": 1.0, "ended": 1.0, "tombstone": 1.0, "not_after": 1e300}
        extra["ago"] = 0.0
        with lab.other._engine().connect() as connection:
            connection.execute(text("SET enable_seqscan = off" if kind == "postgresql" else "DO 0"))
            for name in ("load", "page", "touch", "due", "due_users"):
                plan = connection.execute(
                    text("EXPLAIN " + getattr(statements, name).text), wanted | extra
                ).all()
                for line in map(tuple, plan):
                    if kind == "postgresql":
                        assert "Seq Scan" not in line[0], (name, plan)
                    else:
                        assert line[3] != "ALL" or line[2].startswith("<"), (name, plan)
            connection.invalidate()


class TestDamage:
    @pytest.mark.parametrize("column", ["payload", "secret_hash"])
    def test_a_row_that_is_no_record_is_missing_with_a_fault(self, lab, column):
        """Every verb says so, and a listing goes on behind it."""
        record, other = lab.live("ada"), lab.live("ada")
        lab.sql(f"UPDATE {{s}} SET {column} = NULL WHERE id = :id", id=record.id)
        for answer in (
            lab.store.load(record.id),
            lab.store.touch(record.id),
            lab.store.rotate(record.id, generation=7),
        ):
            assert isinstance(answer, Missing)
            assert column in answer.fault
        for count in (1, 5):
            page = lab.store.sessions_of(record.tag, count=count)
            found = list(page.records)
            if page.cursor:
                found += lab.store.sessions_of(record.tag, cursor=page.cursor).records
            assert [each.id for each in found] == [other.id]


class TestPurge:
    @only["sqlite"]
    def test_what_is_over_goes_and_what_was_used_is_looked_at_later(self, lab):
        now = [2e9]
        store = lab.another(clock=lambda: now[0])
        used, unused, ended, below = (replace(lab.record(str(n)), valid_from=2e9) for n in range(4))
        for record in (used, unused, ended, below):
            fields = {"created_at": 2e9, "authenticated_at": 2e9}
            store.create(replace(record, **fields))
        store.end(ended.id, EndReason.SIGNED_OUT)
        now[0] += 1000
        store.end_user(below.tag, EndReason.REVOKED)
        store.touch(used.id)
        assert store.purge_expired() == 0
        assert store.load(below.id).reason is EndReason.REVOKED
        assert lab.sql("SELECT payload FROM {s} WHERE id = :id", id=below.id)[0][0] is None
        now[0] = 2e9 + 1800 + 3600 + 1
        assert store.purge_expired() == 1
        assert isinstance(store.load(unused.id), Missing)
        now[0] = 2e9 + 1000 + 86400 + 1
        assert store.purge_expired(limit=2) == 2
        assert store.purge_expired(limit=2) == 1
        assert store.purge_expired() == 0
        assert lab.sql("SELECT COUNT(*) FROM {s}")[0][0] == 0
        assert lab.sql("SELECT COUNT(*) FROM {u}")[0][0] == 4
        now[0] += 401 * 86400
        store.purge_expired()
        assert lab.sql("SELECT COUNT(*) FROM {u}")[0][0] == 0

    @servers
    def test_it_passes_by_what_others_hold(self, lab):
        store = lab.another(tombstone_retention=0.0)
        held, free = lab.live(), lab.live()
        for record in (held, free):
            store.end(record.id, EndReason.REVOKED)
        holding = lab.other._atomic(
            lab.other._ask(lab.other.statements.postpone, ids=[held.id], ended=0.0, tombstone=0.0)
        )
        with lab.held(holding):
            assert store.purge_expired() == 1
        assert store.purge_expired() == 1


class TestReadyEngines:
    def test_the_applications_transaction_is_not_ours(self, colour, tmp_path):
        url = f"/{tmp_path}/app.db"
        if colour == "sync":
            engine = create_engine(f"sqlite://{url}")
        else:
            engine = create_async_engine(f"sqlite+aiosqlite://{url}")
        store = Blocking(colour, engine)
        store.create_tables()
        record = Lab.record(Helper(store), "ada")
        blocking = engine if colour == "sync" else create_engine(f"sqlite://{url}")
        with blocking.connect() as connection:
            connection.execute(text("SELECT COUNT(*) FROM openclaw_sessions"))
            assert isinstance(store.create(record), Saved)
            connection.rollback()
        assert isinstance(store.load(record.id), Live)
        with blocking.connect() as connection:
            connection.execute(text("DELETE FROM openclaw_sessions"))
            connection.rollback()
        assert isinstance(store.load(record.id), Live), "its isolation level is as it was"
        store.finish()
        blocking.dispose()
        if colour == "async":
            asyncio.run(engine.dispose())


class Helper:
    def __init__(self, store):
        self.other = store


class TestSQLite:
    def test_the_file_is_made_on_first_use_and_private(self, colour, tmp_path):
        file = tmp_path / "sessions.db"
        store = Blocking(colour, f"sqlite:///{file}")
        assert not file.exists()
        record = Lab.record(Helper(store), "ada")
        assert isinstance(store.create(record), Saved)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        store.finish()
        with sqlite3.connect(file) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.close()

    def test_one_in_memory_is_shared_by_threads_and_forgotten(self, colour):
        store = Blocking(colour, "sqlite://")
        assert not store.capabilities.shared
        records = [Lab.record(Helper(store), f"user{n}") for n in range(8)]
        each(8, lambda number: store.create(records[number]))
        assert all(isinstance(store.load(record.id), Live) for record in records)
        store.finish()

    def test_several_processes_race_to_create_and_to_sign_in(self, tmp_path):
        program = (
            "import sys; from tests.stores.sql_lab import *\n"
            "from openclaw_middleware.core.contract import Limit\n"
            "store = SQLStore(sys.argv[1], OPTIONS)\n"
            "class Helper: other = store\n"
            "for _ in range(10):\n"
            "    answer = store.create(Lab.record(Helper, 'ada'), limit=Limit(3))\n"
            "    assert type(answer).__name__ == 'Saved', answer\n"
            "store.close()\n"
        )
        url = f"sqlite:///{tmp_path}/sessions.db"
        command = [sys.executable, "-W", "error", "-c", program, url]
        running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(5)]
        for process in running:
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors.decode()
        store = SQLStore(url)
        assert len(store.sessions_of("tag-ada").records) == 3
        assert store.stats().tombstones == 47
        store.close()
