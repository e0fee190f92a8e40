"""Fixtures every test may use: real servers, and empty places on them.

Shared, for the whole run: `redis_url`, `postgres_url`, `mariadb_url`; keep out of each other's way
with the `namespace` fixture, or take `fresh_redis_url`, `fresh_postgres_url`, `fresh_mariadb_url`:
an empty database of the test's own. A test that hurts its server starts one of its own with
`private_redis()`, `private_postgres()` or `private_mariadb()`, each a `ServerProcess`.
"""

from collections.abc import Callable, Iterator

import pytest

from tests import order, summary
from tests.fresh import empty_database
from tests.fresh import namespace as new_namespace
from tests.server_engines import MARIADB, POSTGRES, REDIS, Engine
from tests.server_process import ServerProcess
from tests.servers import Servers
from tests.summary import summary_of

Start = Callable[..., ServerProcess]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(summary, "openclaw-summary")
    config.pluginmanager.register(order, "openclaw-order")


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Iterator[Servers]:
    servers = Servers(summary_of(pytestconfig).missing)
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def redis_url(servers: Servers) -> str:
    return servers.url(REDIS)


@pytest.fixture(scope="session")
def postgres_url(servers: Servers) -> str:
    return servers.url(POSTGRES)


@pytest.fixture(scope="session")
def mariadb_url(servers: Servers) -> str:
    return servers.url(MARIADB)


@pytest.fixture
def namespace() -> str:
    """A name of the test's own, for key prefixes and table names."""
    return new_namespace()


@pytest.fixture
def fresh_redis_url(redis_url: str) -> Iterator[str]:
    with empty_database(redis_url) as url:
        yield url


@pytest.fixture
def fresh_postgres_url(postgres_url: str) -> Iterator[str]:
    with empty_database(postgres_url) as url:
        yield url


@pytest.fixture
def fresh_mariadb_url(mariadb_url: str) -> Iterator[str]:
    with empty_database(mariadb_url) as url:
        yield url


@pytest.fixture
def private_redis(servers: Servers) -> Iterator[Start]:
    yield from _private(servers, REDIS)


@pytest.fixture
def private_postgres(servers: Servers) -> Iterator[Start]:
    yield from _private(servers, POSTGRES)


@pytest.fixture
def private_mariadb(servers: Servers) -> Iterator[Start]:
    yield from _private(servers, MARIADB)


def _private(servers: Servers, engine: Engine) -> Iterator[Start]:
    """Yield a function that starts a server with the given further options."""
    started: list[ServerProcess] = []

    def start(*options: str) -> ServerProcess:
        started.append(servers.start(engine, *options))
        return started[-1]

    yield start
    for server in started:
        server.remove()
