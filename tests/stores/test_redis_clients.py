"""Whose connections the Redis store uses: URLs, ready clients, event loops, forked processes."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading

import pytest
import redis
import redis.asyncio

from openclaw_middleware.core import deadline
from openclaw_middleware.core.contract import Live, Missing
from openclaw_middleware.errors import ConfigurationError, MissingDependency
from openclaw_middleware.stores import redis_client as clients
from openclaw_middleware.stores.base import StoreOptions
from openclaw_middleware.stores.redis import AsyncRedisStore, RedisStore
from openclaw_middleware.testing.conformance import fact
from tests.stores.redis_tools import bench_on, store_of


@pytest.fixture(params=["sync", "async"])
def colour(request):
    return request.param


@pytest.fixture
def fresh(fresh_redis_url):
    """The URL of a database nobody else is connected to."""
    return fresh_redis_url


@pytest.fixture
def connections(fresh):
    """The ids of the clients connected to the fresh database, ours not counted."""
    with redis.Redis.from_url(fresh) as client:
        number = client.get_connection_kwargs()["db"]
        me = client.client_id()

        def connected():
            found = (c for c in client.client_list() if c["db"] == str(number))
            return {c["id"] for c in found if c["id"] != str(me)}

        yield connected


class TestURLs:
    @pytest.mark.parametrize(
        ("url", "part"),
        [
            ("http://localhost/0", "scheme 'http'"),
            ("redis://localhost:redis/0", "port"),
            ("redis://localhost:70000/0", "port"),
            ("redis://localhost:0/0", "port"),
            ("redis://localhost/sessions", "database must be a number, not 'sessions'"),
            ("redis://localhost/0?db=x", "db must be a number"),
            ("redis://localhost/0?retires=3", "unknown option 'retires'"),
            ("redis://localhost/0?socket_timeout=soon", "'socket_timeout' has an unusable value"),
            ("redis://localhost/0?decode_responses=true", "remove decode_responses"),
            ("redis://localhost/0?protocol=9", "protocol"),
            ("unix://", "path is missing"),
            ("unix://run/redis.sock", "path is missing"),
        ],
    )
    def test_bad_url_names_the_part_and_no_secret(self, url, part, colour):
        url = url.replace("://", "://user:hunter2@", 1) if "localhost" in url else url
        with pytest.raises(ConfigurationError, match=part) as caught:
            store_of(url, colour=colour)
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize(
        "url",
        [
            "redis://localhost",
            "redis://:secret@localhost:6380/3",
            "rediss://user:pass@[::1]:6379/0?ssl_cert_reqs=none",
            "unix:///run/redis.sock",
            "unix://:secret@/run/redis.sock?db=2",
        ],
    )
    def test_good_urls_open_no_connection(self, url, colour):
        assert store_of(url, colour=colour).capabilities.name == "redis"

    def test_missing_library_names_the_extra(self, monkeypatch, colour):
        monkeypatch.setitem(sys.modules, "redis", None)
        with pytest.raises(MissingDependency, match=r"openclaw-middleware\[redis\]"):
            store_of("redis://localhost/0", colour=colour)

    def test_the_module_imports_no_redis(self):
        code = "import sys, openclaw_middleware.stores.redis; sys.exit('redis' in sys.modules)"
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_own_clients_never_retry_by_themselves(self, redis_url):
        pool = clients.blocking_client(redis_url).connection_pool
        connection = pool.make_connection()
        assert connection.retry.get_retries() == 0
        assert pool.max_connections == clients.MAX_CONNECTIONS
        awaited = clients.asyncio_client(redis_url)
        connection = awaited.connection_pool.make_connection()
        assert connection.retry.get_retries() == 0
        assert awaited.connection_pool.max_connections == clients.MAX_CONNECTIONS

    @pytest.mark.parametrize("options", ["", "?socket_timeout=50&timeout=50"])
    def test_own_clients_keep_the_deadline(self, redis_url, options):
        """In each of their waits, whatever the URL says."""
        pool = clients.blocking_client(redis_url + options).connection_pool
        connection = pool.make_connection()
        begun = deadline.begin(0.7)
        waits = pool.timeout, connection.socket_timeout, connection.socket_connect_timeout
        deadline.end(begun)
        assert all(0.1 < seconds <= 0.7 for seconds in waits)

    @fact()
    def test_unix_socket(self, bench):
        record = yield from bench.live("ada")
        assert isinstance((yield bench.store.load(record.id)), Live)

    @pytest.fixture
    def bench(self, private_redis, colour):
        server = private_redis("--unixsocket", "redis.sock", "--unixsocketperm", "777")
        return bench_on(f"unix://{server.folder}/redis.sock", colour)


class TestReadyClients:
    def test_the_wrong_colour_names_the_other(self):
        with pytest.raises(ConfigurationError, match=r"pass redis.Redis, or a redis:// URL"):
            RedisStore(redis.asyncio.Redis())
        with pytest.raises(ConfigurationError, match=r"pass a client from redis.asyncio"):
            AsyncRedisStore(redis.Redis())

    def test_the_wrong_colour_in_disguise(self):
        """A wrapper that does not show its colour shows it with its first answer."""

        class Wrapper:
            def execute_command(self, *args):
                return redis.asyncio.Redis().execute_command(*args)

        with pytest.raises(ConfigurationError, match=r"pass redis.Redis"):
            RedisStore(Wrapper()).now()

    def test_what_is_no_client(self, colour):
        with pytest.raises(ConfigurationError, match="Redis URL or a Redis client, not int"):
            store_of(5, colour=colour)

    def test_decoding_client_is_refused(self, redis_url):
        for library, colour in ((redis, "sync"), (redis.asyncio, "async")):
            client = library.Redis.from_url(redis_url, decode_responses=True)
            with pytest.raises(ConfigurationError, match="decode_responses=False"):
                store_of(client, colour=colour)

    def test_decoding_client_in_disguise(self, redis_url):
        """One that does not tell how it answers is found out by its answer."""
        with redis.Redis.from_url(redis_url, decode_responses=True) as client:

            class Wrapper:
                execute_command = staticmethod(client.execute_command)

            for call in (RedisStore(Wrapper()).now, lambda: RedisStore(Wrapper()).load("some.id")):
                with pytest.raises(ConfigurationError, match="decode_responses=False"):
                    call()

    def test_a_ready_client_is_used_and_left_open(self, redis_url):
        with redis.Redis.from_url(redis_url) as client:
            store = RedisStore(client)
            assert isinstance(store.load("some.id"), Missing)
            store.close()
            connections = client.connection_pool._available_connections
            assert [connection._sock is not None for connection in connections] == [True]

    async def test_a_ready_asyncio_client_is_used_and_left_open(self, redis_url):
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            store = AsyncRedisStore(client)
            assert isinstance(await store.load("some.id"), Missing)
            await store.close()
            connections = client.connection_pool._available_connections
            assert [connection.is_connected for connection in connections] == [True]

    async def test_wrappers_are_judged_by_what_they_do(self, redis_url):
        """A proxy around a client, as a test or a tracer makes it, serves like the client."""

        class Proxy:
            def __init__(self, client):
                self.client, self.calls = client, 0

            def __getattr__(self, name):
                return getattr(self.client, name)

            def execute_command(self, *args):
                self.calls += 1
                return self.client.execute_command(*args)

        with redis.Redis.from_url(redis_url) as client:
            proxy = Proxy(client)
            assert isinstance(RedisStore(proxy).load("some.id"), Missing)
            assert proxy.calls in (1, 2)
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            proxy = Proxy(client)
            assert isinstance(await AsyncRedisStore(proxy).load("some.id"), Missing)
            assert proxy.calls in (1, 2)


class TestLoops:
    def test_a_loop_per_request(self, fresh, connections):
        """Each loop has a client of its own, which goes with the loop; nothing is left behind."""
        store = AsyncRedisStore(fresh)

        async def request():
            assert isinstance(await store.load("some.id"), Missing)
            return connections()

        seen = [asyncio.run(request()) for _ in range(5)]
        assert [len(ids) for ids in seen] == [1] * 5
        assert len(set.union(*seen)) == 5
        assert store._own._held == {}
        gc.collect()
        assert connections() == set()

    def test_loops_that_end_without_a_word(self, fresh, connections):
        """Loops closed without shutting down are noticed by the next one, without a warning."""
        store = AsyncRedisStore(fresh)
        for _ in range(3):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(store.load("some.id"))
            loop.close()
            del loop
            gc.collect()
        assert len(store._own._held) == 1
        asyncio.run(store.close())
        gc.collect()
        assert store._own._held == {}
        assert connections() == set()

    def test_loops_at_the_same_time(self, fresh):
        """Loops in several threads share a store and no connection."""
        store = AsyncRedisStore(fresh)
        used, barrier = [], threading.Barrier(4)

        async def request():
            await store.load("some.id")
            used.append(store._client())
            barrier.wait(10)

        threads = [threading.Thread(target=asyncio.run, args=(request(),)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(client) for client in used}) == 4

    def test_a_loop_used_again_after_its_shutdown(self, fresh):
        """Some servers finish generators and then run a little more."""
        store = AsyncRedisStore(fresh)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(store.load("some.id"))
        loop.run_until_complete(loop.shutdown_asyncgens())
        assert store._own._held == {}
        loop.run_until_complete(store.load("some.id"))
        loop.run_until_complete(store.close())
        loop.close()

    async def test_closed_and_used_again(self, fresh, connections):
        store = AsyncRedisStore(fresh)
        await store.load("some.id")
        await store.close()
        await store.close()
        assert connections() == set()
        assert isinstance(await store.load("some.id"), Missing)
        assert len(connections()) == 1
        await store.close()

    def test_blocking_closed_and_used_again(self, fresh, connections):
        store = RedisStore(fresh)
        store.load("some.id")
        assert len(connections()) == 1
        store.close()
        store.close()
        assert isinstance(store.load("some.id"), Missing)
        store.close()


def in_child(work):
    """Run `work` in a forked child; its answer as text, or what went wrong."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = str(work())
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
class TestFork:
    def test_blocking_client_is_made_anew(self, fresh):
        """Parent and child speak over connections of their own, at the same time."""
        store = RedisStore(fresh)
        store.now()
        client = store._client()
        mine = client.client_id()
        theirs = in_child(lambda: store._client().client_id())
        assert in_child(lambda: store._client() is client) == "False"
        assert int(theirs) != mine
        assert store._client().client_id() == mine
        store.close()

    def test_a_lock_held_at_the_fork_holds_nobody(self, fresh):
        """Another thread made its client at the moment of the fork: the child is not stuck."""
        store = RedisStore(fresh)
        store.now()
        with store._own._lock:
            answer = in_child(lambda: type(store.load("some.id")).__name__)
        assert answer == "Missing"
        store.close()

    def test_asyncio_client_is_made_anew(self, fresh):
        """Forked while a loop runs, as pre-forking servers do; the parent is not disturbed."""
        store = AsyncRedisStore(fresh, StoreOptions(timeout=5))

        async def parent():
            mine = await store._client().client_id()

            def child():
                asyncio.events._set_running_loop(None)
                return asyncio.run(theirs())

            async def theirs():
                assert isinstance(await store.load("some.id"), Missing)
                return await store._client().client_id()

            other = in_child(child)
            assert int(other) != mine
            assert await store._client().client_id() == mine
            await store.close()

        asyncio.run(parent())
