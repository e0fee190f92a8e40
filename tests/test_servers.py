"""The servers that the other tests stand on do what their names say."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
import redis
from sqlalchemy.engine import make_url

from tests import process_tree
from tests.fresh import empty_database
from tests.fresh import namespace as new_namespace
from tests.server_engines import ENGINES, MARIADB, POSTGRES, REDIS, Engine
from tests.server_process import ServerProcess
from tests.servers import Servers

ROOT = Path(__file__).parents[1]
every_engine = pytest.mark.parametrize(
    "engine", ENGINES, ids=lambda engine: engine.name, scope="module"
)


def connect(url: str) -> Any:
    where = make_url(url)
    if where.get_backend_name() == "postgresql":
        return psycopg.connect(url, autocommit=True)
    return pymysql.connect(
        host=where.host,
        port=where.port or 3306,
        user=where.username,
        password=where.password or "",
        database=where.database,
        autocommit=True,
    )


@contextmanager
def sql(url: str) -> Iterator[Any]:
    with closing(connect(url)) as connection:
        yield connection.cursor()


def put_mark(url: str) -> None:
    """Leave a trace on the server."""
    if url.startswith("redis"):
        with redis.Redis.from_url(url) as client:
            client.set("mark", "1")
    else:
        with sql(url) as cursor:
            cursor.execute("DROP TABLE IF EXISTS mark")
            cursor.execute("CREATE TABLE mark (id int)")
            cursor.execute("INSERT INTO mark VALUES (1)")


def has_mark(url: str) -> bool:
    if url.startswith("redis"):
        with redis.Redis.from_url(url) as client:
            return client.get("mark") is not None
    with sql(url) as cursor:
        cursor.execute(
            "SELECT 1 FROM information_schema.tables"
            " WHERE table_name = 'mark' AND table_schema IN ('public', %s)",
            (make_url(url).database,),
        )
        return cursor.fetchone() is not None


def refuses(server: ServerProcess) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.fixture(scope="module")
def server(engine: Engine, servers: Servers) -> Iterator[ServerProcess]:
    """A private server of the kind, which keeps its data; each test leaves it running."""
    options = ("--appendonly", "yes", "--appendfsync", "always") if engine is REDIS else ()
    server = servers.start(engine, *options)
    yield server
    server.remove()


@every_engine
def test_shared_server_answers_and_is_started_once(engine: Engine, servers: Servers) -> None:
    """Everybody gets the same server, by a URL that names no driver."""
    url = servers.url(engine)

    engine.ping(url)

    assert servers.url(engine) == url
    assert url.split("://")[0] in {"redis", "postgresql", "mysql"}


def test_shared_urls_are_fixtures(redis_url: str, postgres_url: str, mariadb_url: str) -> None:
    """The three fixtures lead to the three kinds."""
    for engine, url in zip(ENGINES, (redis_url, postgres_url, mariadb_url), strict=True):
        engine.ping(url)


@every_engine
def test_an_empty_database_is_empty_isolated_and_gone_afterwards(
    engine: Engine, servers: Servers
) -> None:
    """Two tests with a database each do not see each other, nor what was there before."""
    with empty_database(servers.url(engine)) as one, empty_database(servers.url(engine)) as two:
        put_mark(one)

        assert one != two
        assert has_mark(one)
        assert not has_mark(two)

    with empty_database(servers.url(engine)) as again:
        assert not has_mark(again)


@pytest.mark.parametrize("engine", [POSTGRES, MARIADB], ids=lambda engine: engine.name)
def test_a_forgotten_transaction_does_not_keep_the_database_alive(
    engine: Engine, servers: Servers
) -> None:
    """A leaked connection costs its own test, not the ones after it."""
    with empty_database(servers.url(engine)) as url:
        put_mark(url)
        leaked = connect(url)
        leaked.cursor().execute("BEGIN")
        leaked.cursor().execute("SELECT * FROM mark")

    with closing(leaked), pytest.raises((psycopg.OperationalError, pymysql.err.OperationalError)):
        leaked.cursor().execute("SELECT 1")


def test_namespaces_differ(namespace: str) -> None:
    """A namespace fits a table name, and is never handed out twice."""
    assert namespace.isidentifier()
    assert namespace != new_namespace()


@every_engine
def test_restart_keeps_port_and_data(engine: Engine, server: ServerProcess) -> None:
    """After stop nobody listens; after restart the same URL leads to the same data."""
    put_mark(server.url)
    url, pid = server.url, server.pid

    server.stop()
    assert not server.running
    assert refuses(server)

    server.restart()
    assert server.url == url
    assert server.pid != pid
    assert has_mark(url)


@every_engine
def test_what_was_acknowledged_survives_a_crash(
    engine: Engine, server: ServerProcess, servers: Servers
) -> None:
    """`kill -9` of a private server loses nothing that it had confirmed, and is felt by nobody
    who uses the shared one."""
    put_mark(server.url)
    family = [server.pid, *process_tree.descendants(server.pid)]

    server.kill()
    assert not server.running
    process_tree.await_end(family, timeout=0)
    assert refuses(server)
    engine.ping(servers.url(engine))

    server.restart()
    assert has_mark(server.url)


@every_engine
def test_a_paused_server_accepts_and_does_not_answer(engine: Engine, server: ServerProcess) -> None:
    """Frozen is not down: connections are taken, answers come after resume, on open ones too."""
    put_mark(server.url)

    server.pause()
    assert server.running
    assert not refuses(server)
    states = {state for pid, _, state in process_tree._processes() if pid == server.pid}
    assert states == {"T"}

    server.resume()
    engine.ping(server.url)
    assert has_mark(server.url)


def test_pause_freezes_a_backend_that_is_already_connected(
    private_postgres: Callable[..., ServerProcess],
) -> None:
    """PostgreSQL's backends leave the process group; they are frozen all the same."""
    server = private_postgres()
    with closing(psycopg.connect(server.url, autocommit=True)) as connection:
        connection.execute("SELECT 1")
        server.pause()
        connection.pgconn.send_query(b"SELECT 2")
        with socket.socket(fileno=os.dup(connection.pgconn.socket)) as wire:
            wire.settimeout(0.3)
            with pytest.raises(TimeoutError):
                wire.recv(1, socket.MSG_PEEK)

            server.resume()
            wire.settimeout(10)
            assert wire.recv(1, socket.MSG_PEEK)


@every_engine
def test_a_paused_server_can_be_killed_and_restarted(engine: Engine, server: ServerProcess) -> None:
    """No order of events leaves a server that nobody can get rid of."""
    server.pause()
    server.kill()
    server.restart()
    server.pause()
    server.restart()

    engine.ping(server.url)


def test_options_reach_the_server(private_redis: Callable[..., ServerProcess]) -> None:
    """A private server takes further options: a full Redis, for example."""
    server = private_redis("--maxmemory", "3mb", "--maxmemory-policy", "noeviction")

    with redis.Redis.from_url(server.url) as client:
        assert client.config_get("maxmemory")["maxmemory"] == str(3 * 1024 * 1024)


def test_a_server_that_does_not_start_says_why(servers: Servers) -> None:
    """The server's own words are in the error, and come at once."""
    with pytest.raises(RuntimeError, match=r"Redis did not start(?s:.)*no-such-option"):
        servers.start(REDIS, "--no-such-option", "1")


def test_a_given_url_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable wins over everything installed, and starts nothing."""
    monkeypatch.setenv(POSTGRES.variable, "postgresql://elsewhere/there")
    servers = Servers()

    assert servers.url(POSTGRES) == "postgresql://elsewhere/there"
    servers.close()


@pytest.mark.parametrize(("ci", "outcome"), [("", "Skipped"), ("true", "Failed")])
def test_a_missing_server_skips_on_a_laptop_and_fails_in_ci(
    ci: str, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gap in the tests is never silent where it counts."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.delenv(MARIADB.variable, raising=False)
    monkeypatch.setattr(MARIADB, "find", lambda: None)
    servers = Servers()

    with pytest.raises(BaseException, match="install mariadb-server") as caught:
        servers.url(MARIADB)

    assert caught.typename == outcome
    assert servers.missing == {"MariaDB"}


HOLD_SERVERS = """
import pathlib, signal, sys
from tests.servers import Servers
from tests.server_engines import ENGINES
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
made = pathlib.Path(sys.argv[1])  # clusters, which take seconds to make
Servers._pristine = lambda self, engine, folder: made / engine.package
servers = Servers()
for engine in ENGINES:
    servers.url(engine)
servers.start(ENGINES[1]).pause()
print(servers._folder, *(server.pid for server in servers._started), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_server_outlives_the_test_run(signum: signal.Signals, servers: Servers) -> None:
    """Ctrl-C or `kill -9` of the run: all servers end, a frozen one too, and no file is left."""
    workshop, _ = servers._workshop()
    for engine in ENGINES:
        servers._pristine(engine, workshop)
    given = {engine.variable for engine in ENGINES}
    environment = {name: value for name, value in os.environ.items() if name not in given}
    run = subprocess.Popen(
        [sys.executable, "-c", HOLD_SERVERS, str(workshop)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with run:
        assert run.stdout is not None
        folder, *numbers = run.stdout.readline().split()
        family = [int(number) for number in numbers]
        family += [child for pid in family for child in process_tree.descendants(pid)]
        assert len(numbers) == 4
        assert Path(folder).is_dir()

        run.send_signal(signum)
        run.wait(timeout=10)

    process_tree.await_end(family, timeout=20)
    deadline = time.monotonic() + 10
    while Path(folder).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(folder).exists()
