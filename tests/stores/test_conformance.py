"""Every store against the public conformance suite, in both colours, on real servers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from sqlalchemy import create_engine, make_url, text

from openclaw_middleware.core.contract import Live, Missing
from openclaw_middleware.core.record import EndReason
from openclaw_middleware.core.steps import Steps
from openclaw_middleware.errors import StoreUnavailable
from openclaw_middleware.stores.memory import AsyncMemoryStore, MemoryState, MemoryStore
from openclaw_middleware.stores.url import open_store
from openclaw_middleware.testing import StoreConformance
from openclaw_middleware.testing.conformance import DEFECTS, Bench, fact, guarded_defects, guards
from openclaw_middleware.testing.conformance_bench import new_write
from tests.fresh import empty_database

pytestmark = pytest.mark.filterwarnings("error")


@dataclass
class Place:
    """A database all tests of one engine share, and the namespaces with tables in it."""

    url: str
    prepared: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def sqlite_database(tmp_path_factory):
    return Place(f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/sessions.db")


@pytest.fixture(scope="module")
def redis_database(redis_url):
    with empty_database(redis_url) as url:
        yield Place(url)


@pytest.fixture(scope="module")
def postgres_database(postgres_url):
    with empty_database(postgres_url) as url:
        yield Place(url)


@pytest.fixture(scope="module")
def mariadb_database(mariadb_url):
    with empty_database(mariadb_url) as url:
        yield Place(url)


class TestMemory(StoreConformance):
    @pytest.fixture
    def make_store(self):
        states: dict[str, MemoryState] = {}

        def make(colour, options):
            state = states.setdefault(options.namespace, MemoryState())
            return (MemoryStore if colour == "sync" else AsyncMemoryStore)(options, state=state)

        return make

    @pytest.fixture
    def erase_index(self):
        def erase(store, tag) -> Steps[None]:
            yield from ()
            store.state.users.clear()

        return erase


class EngineConformance(StoreConformance):
    """An engine that is reached over a URL, and may be out of reach."""

    unreachable: str

    @pytest.fixture
    def place(self) -> Place:
        raise NotImplementedError

    @pytest.fixture
    def prepared(self, place):
        return place.prepared

    @pytest.fixture
    def make_store(self, place):
        def make(colour, options):
            return open_store(place.url, options, colour)

        return make

    @fact("configuration swallowed")
    def test_unreachable_engine_is_an_error_for_every_verb(self, bench: Bench) -> Steps[None]:
        """Nobody is told that a session is missing when the store could not be asked."""
        store = open_store(self.unreachable, bench.options, bench.colour)
        bench.opened.append(store)
        record = yield from bench.draft("ada")
        for call in (
            lambda: store.now(),
            lambda: store.create(record),
            lambda: store.load(record.id),
            lambda: store.save(record, write_id=new_write()),
            lambda: store.touch(record.id),
            lambda: store.rotate(record.id, generation=0),
            lambda: store.succeed("old.id", 1, record),
            lambda: store.end(record.id, EndReason.REVOKED),
            lambda: store.end_user(record.tag, EndReason.REVOKED),
            lambda: store.sessions_of(record.tag),
            lambda: store.stats(),
        ):
            with pytest.raises(StoreUnavailable):
                yield call()


class TestRedis(EngineConformance):
    unreachable = "redis://127.0.0.1:1/0"

    @pytest.fixture
    def place(self, redis_database):
        return redis_database

    @pytest.fixture
    def erase_index(self):
        def erase(store, tag) -> Steps[None]:
            key = f"{store.options.namespace}:{{{tag}}}:i"
            assert (yield store._client().execute_command("DEL", key)) == 1

        return erase


class SQLConformance(EngineConformance):
    @pytest.fixture
    def app_engine(self, place):
        """An engine as an application has it, beside the store's own."""
        url = make_url(place.url)
        drivers = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
        engine = create_engine(
            url.set(drivername=drivers.get(url.get_backend_name(), url.drivername))
        )
        yield engine
        engine.dispose()

    @fact("app transaction hijack")
    def test_ready_engine_keeps_its_transactions(self, bench: Bench, app_engine) -> Steps[None]:
        """The store commits by itself on an application's engine; the application's rollback
        takes nothing of ours along, and our writes commit nothing of the application's."""
        if bench.colour == "async":
            pytest.skip("the application's engine of this test is a blocking one")
        if bench.settable:
            pytest.skip("one writer at a time: an open transaction of the application blocks all")
        store = open_store(app_engine, bench.options, "sync")
        name = f"{bench.options.namespace}_app"
        with app_engine.begin() as connection:
            connection.execute(text(f"CREATE TABLE {name} (n INTEGER)"))
        with app_engine.connect() as connection:
            connection.execute(text(f"INSERT INTO {name} VALUES (1)"))
            record = yield from bench.draft("ada")
            store.create(record)
            store.save(record, write_id=new_write())
            connection.rollback()
        assert isinstance((yield bench.store.load(record.id)), Live)
        with app_engine.connect() as connection:
            assert connection.execute(text(f"SELECT count(*) FROM {name}")).scalar() == 0

    @fact("configuration swallowed")
    def test_missing_tables_are_an_error(self, bench: Bench, place: Place) -> Steps[None]:
        """A load without tables says which command creates them; it does not answer Missing."""
        options = replace(bench.options, namespace=bench.options.namespace + "_none")
        store = open_store(place.url, options, bench.colour)
        bench.opened.append(store)
        if store.capabilities.name == "sqlite":
            # A file of our own is the one place where tables come by themselves.
            assert isinstance((yield store.load("some.id")), Missing)
            return
        with pytest.raises(StoreUnavailable, match="tables create"):
            yield store.load("some.id")


class TestSQLite(SQLConformance):
    # A folder that is missing is refused at start-up; a file that is no database is found later.
    unreachable = f"sqlite:///{__file__}"

    @pytest.fixture
    def place(self, sqlite_database):
        return sqlite_database


class TestPostgreSQL(SQLConformance):
    unreachable = "postgresql://nobody@127.0.0.1:1/none"

    @pytest.fixture
    def place(self, postgres_database):
        return postgres_database


class TestMariaDB(SQLConformance):
    unreachable = "mysql://nobody@127.0.0.1:1/none"

    @pytest.fixture
    def place(self, mariadb_database):
        return mariadb_database


@guards()
def test_every_class_of_defects_has_a_test():
    """Each class that a store can suffer from is guarded against, the SQL one by the SQL suite."""
    everywhere = guarded_defects(StoreConformance)
    engines = guarded_defects(SQLConformance)
    assert set(everywhere) == set(engines) == set(DEFECTS)
    assert {name for name, tests in engines.items() if not tests} == set()
    for name in set(DEFECTS) - {"app transaction hijack", "configuration swallowed"}:
        assert everywhere[name], name
