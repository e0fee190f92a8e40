"""One deadline bounds all store work of a request, whatever its calls wait for (P8).

Against real servers that are slow, frozen, full or gone: a request may not take a timeout for each
of its calls, nor for each of the things one call waits for, nor for each writer before it.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import pytest

from openclaw_middleware import StoreUnavailable
from openclaw_middleware.stores import redis_client, sql_engines
from tests import process_tree
from tests.fire.ordeal import wait_for
from tests.fire.proxy import Proxy
from tests.server_engines import MARIADB, POSTGRES, REDIS
from tests.stores.requests_lab import Deployment, together
from tests.stores.test_sql_outage import freeze

ENGINES = {"redis": REDIS, "postgres": POSTGRES, "mariadb": MARIADB}
TIMEOUT = 1.2
# A second one, or most of it, would be too much. What a busy machine is late by is not counted.
BOUND = 1.25 * TIMEOUT
SMALL_POOL = 3


@pytest.fixture(params=["sync", "async"])
def colour(request):
    return request.param


@pytest.fixture(scope="module", params=ENGINES)
def server(request, servers):
    """A server that only this module uses, and hurts."""
    server = servers.start(ENGINES[request.param])
    yield server
    server.remove()


@pytest.fixture
def proxy(server):
    proxy = Proxy(server.url)
    yield proxy
    proxy.close()


@pytest.fixture
def site(server, proxy, colour, namespace, monkeypatch):
    """A deployment behind the proxy, with a pool of few connections; somebody is signed in."""
    monkeypatch.setattr(redis_client, "MAX_CONNECTIONS", SMALL_POOL)
    monkeypatch.setattr(sql_engines, "POOL_SIZE", SMALL_POOL)
    threads = set(threading.enumerate())
    site = Deployment(colour, proxy.url, namespace, TIMEOUT)
    site.sign_in()
    site.warm(SMALL_POOL)
    assert site.request().load().write(first=1).failure is None
    yield site
    proxy.delay, proxy.silent, proxy.piece = 0.0, False, 65536
    process_tree.resume(server.pid)
    wait_for(lambda: site.request().load().failure is None, "it did not recover")
    # Where saves alone have failed, they are asked for again a moment later.
    wait_for(lambda: site.request().load().write(last=1).failure is None, "it cannot write")
    wait_for(lambda: site.connections() == 0)
    site.close()
    wait_for(lambda: set(threading.enumerate()) <= threads)


def in_time(*requests):
    """All failed, and none took longer than the deadline allows."""
    for request in requests:
        assert isinstance(request.failure, StoreUnavailable), request
        waited = request.seconds - request.late
        assert waited < BOUND, f"{waited / TIMEOUT:.2f} timeouts: {request}"


class TestASlowStore:
    def test_a_slow_call_leaves_less_for_the_next(self, site, server, proxy):
        """The first takes most of the time, and then nothing is answered any more."""
        request = site.request()
        proxy.delay = 0.65 * TIMEOUT
        assert request.load().failure is None
        assert request.seconds > 0.6 * TIMEOUT
        freeze(server)
        in_time(request.write(n=1))

    def test_a_slow_greeting_counts(self, site, proxy, monkeypatch):
        """A new connection takes many round trips, each far quicker than the deadline."""
        site.call("close")
        proxy.delay = 0.45 * TIMEOUT
        request = site.request().load()
        if request.failure is None:  # Redis greets in one
            request.write(n=1)
        in_time(request)

    def test_an_answer_in_many_pieces_counts(self, site, proxy):
        """Each piece arrives in time, all together would not."""
        assert site.request().load().write(text="x" * 2000).failure is None
        proxy.piece, proxy.delay = 200, 0.3 * TIMEOUT
        in_time(site.request().load())

    def test_writers_of_one_session_wait_for_those_in_front(self, site, proxy):
        """A queue longer than the deadline, on a store that answers everybody: all are served."""
        requests = [site.request().load() for _ in range(SMALL_POOL)]
        proxy.delay = 0.18 * TIMEOUT
        together([lambda each=each: each.write(n=1) for each in requests])
        assert [each.failure for each in requests] == [None] * SMALL_POOL
        assert max(each.seconds for each in requests) > 0.5 * TIMEOUT


class TestAFrozenStore:
    def test_waiting_for_a_connection_counts(self, site, server):
        """All connections are in use; those who get one later begin with what is left."""
        requests = [site.request() for _ in range(3 * SMALL_POOL)]
        freeze(server)
        together([each.load for each in requests], every=0.05 * TIMEOUT)
        in_time(*requests)

    def test_writers_of_one_session_fail_together(self, site, server):
        """Nobody waits one timeout for each writer in front."""
        requests = [site.request().load() for _ in range(8)]
        freeze(server)
        together([lambda each=each: each.write(n=1) for each in requests])
        in_time(*requests)

    def test_a_writer_who_comes_later_has_his_own_time(self, site, server):
        """What he waits for the one in front counts, what the other waited before does not."""
        first, second = (site.request().load() for _ in range(2))
        freeze(server)
        together(
            [lambda each=each: each.write(n=1) for each in (first, second)], every=0.6 * TIMEOUT
        )
        in_time(first, second)
        assert second.seconds > 0.8 * TIMEOUT

    def test_an_exhausted_pool_and_two_calls(self, site, server, proxy):
        """The worst of all: slow at first, then frozen, and more requests than connections."""
        requests = []
        for number in range(2 * SMALL_POOL):
            site.sign_in(f"user {number}")
            requests.append(site.request())
        proxy.delay = 0.35 * TIMEOUT
        assert all(each.load().failure is None for each in requests)
        freeze(server)
        together([lambda each=each: each.write(n=1) for each in requests], every=0.05 * TIMEOUT)
        in_time(*requests)


class TestARefusingStore:
    def test_it_is_told_at_once(self, site, server, proxy):
        request = site.request().load()
        server.kill()
        try:
            request.write(n=1)
            other = site.request().load()
        finally:
            server.start()
        in_time(request, other)
        assert sum(each.seconds - each.late for each in (request, other)) < TIMEOUT


class TestALockedFile:
    """SQLite: somebody else writes to the file and does not come to an end."""

    @pytest.fixture
    def site(self, colour, namespace, tmp_path):
        site = Deployment(colour, f"sqlite:///{tmp_path}/s.db", namespace, TIMEOUT)
        site.sign_in()
        yield site
        assert site.request().load().write(last=1).failure is None
        wait_for(lambda: site.connections() == 0)
        site.close()

    @pytest.fixture
    def other(self, tmp_path, site):
        with closing(lock_of(tmp_path / "s.db")) as other:
            yield other

    def test_waiting_for_the_lock_counts(self, site, other):
        """The first write gets it late, the second not at all."""
        lock_late_and_again(site, other)


def lock_of(file):
    return sqlite3.connect(file, isolation_level=None, check_same_thread=False)


def lock_late_and_again(site, other):
    request = site.request().load()
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.65 * TIMEOUT, other.rollback)
    timer.start()
    assert request.write(n=1).failure is None
    timer.join()
    assert request.seconds > 0.6 * TIMEOUT
    other.execute("BEGIN IMMEDIATE")
    in_time(request.write(n=2))
    other.rollback()
