"""The Redis store when the server is full, frozen, restarted or gone, and when replies get lost."""

from __future__ import annotations

import asyncio
import functools
import time
from dataclasses import replace

import pytest
import redis

from openclaw_middleware.core.contract import Ended, Limit, Live, Missing, Saved
from openclaw_middleware.core.record import EndReason
from openclaw_middleware.core.steps import adrive
from openclaw_middleware.errors import StoreUnavailable
from openclaw_middleware.stores import redis_client as clients
from openclaw_middleware.stores.base import StoreOptions
from openclaw_middleware.stores.redis import AsyncRedisStore
from openclaw_middleware.testing.conformance import fact
from openclaw_middleware.testing.conformance_bench import new_write
from tests.stores.redis_tools import LossyProxy, bench_on, keys_of


@pytest.fixture(params=["sync", "async"])
def colour(request):
    return request.param


@pytest.fixture
def private(private_redis):
    return private_redis()


@pytest.fixture
def server(private):
    with redis.Redis.from_url(private.url) as client:
        yield client


@pytest.fixture
def bench(private, colour):
    return bench_on(private.url, colour)


class TestFull:
    def fill(self, server):
        server.config_set("maxmemory-policy", "noeviction")
        server.config_set("maxmemory", 1)
        with pytest.raises(redis.OutOfMemoryError):
            server.set("one", "more")

    @fact("resurrection")
    def test_a_full_server_ends_sessions(self, bench, server):
        """Loads, touches, promotions, logouts and log-out-everywhere work with full memory."""
        store = bench.store
        used, ended, kept = yield from bench.lives("ada", "ada", "bob")
        yield store.rotate(used.id, generation=0, next_hash=b"n" * 32)
        self.fill(server)
        assert isinstance((yield store.load(used.id)), Live)
        before = yield from bench.tick()
        touched = yield store.touch(used.id)
        assert isinstance(touched, Live)
        assert touched.record.last_active_at >= before
        promoted = yield store.rotate(used.id, generation=0)
        assert promoted.record.generation == 1
        assert (yield store.end(ended.id, EndReason.SIGNED_OUT)).fresh
        assert isinstance((yield store.load(ended.id)), Ended)
        everywhere = yield store.end_user(used.tag, EndReason.REVOKED, except_id=used.id)
        assert everywhere.not_before
        assert isinstance((yield store.load(used.id)), Live)
        yield store.end_user(kept.tag, EndReason.REVOKED)
        assert isinstance((yield store.load(kept.id)), Ended)

    @fact("lost update")
    def test_what_is_refused_leaves_everything_as_it_was(self, bench, server):
        """Sign-in, save and succession fail as a whole: no half-written record, nobody ended."""
        store = bench.store
        record = yield from bench.live("ada")
        visitor = yield from bench.live()
        new = yield from bench.draft("ada")
        self.fill(server)
        before = {key: server.dump(key) for key in server.scan_iter()}
        for call in (
            lambda: store.create(new),
            lambda: store.create(new, limit=Limit(1)),
            lambda: store.save(replace(record, payload=b"x" * 1000), write_id=new_write()),
            lambda: store.succeed(record.id, 1, new),
            lambda: store.succeed(visitor.id, 1, new, limit=Limit(1)),
            lambda: store.rotate(record.id, generation=0, next_hash=b"n" * 32),
        ):
            with pytest.raises(StoreUnavailable) as caught:
                yield call()
            assert not caught.value.disconnected
        assert {key: server.dump(key) for key in server.scan_iter()} == before
        server.config_set("maxmemory", 0)
        assert isinstance((yield store.succeed(visitor.id, 1, new, limit=Limit(1))), Saved)

    @fact()
    def test_read_only_server(self, bench, server):
        """A replica, or a master that lost its replicas: loads go on, writes are refused."""
        record = yield from bench.live("ada")
        server.config_set("min-replicas-to-write", 1)
        assert isinstance((yield bench.store.load(record.id)), Live)
        with pytest.raises(StoreUnavailable):
            yield bench.store.end(record.id, EndReason.SIGNED_OUT)
        server.config_set("min-replicas-to-write", 0)
        assert (yield bench.store.end(record.id, EndReason.SIGNED_OUT)).fresh


class TestGone:
    @fact()
    def test_refused_is_unavailable_until_it_is_back(self, bench, private):
        """Nothing answers Missing while the server is down; afterwards all works at once."""
        record = yield from bench.live("ada")
        private.kill()
        for _ in range(3):
            with pytest.raises(StoreUnavailable) as caught:
                yield bench.store.load(record.id)
            assert caught.value.operation == "load"
        private.start()
        assert isinstance((yield bench.store.load(record.id)), Missing)

    @fact()
    def test_killed_connection_is_replaced_within_the_verb(self, bench, server):
        """The server drops our idle connections: the next verb does not fail."""
        record = yield from bench.live("ada")
        for _ in range(3):
            server.client_kill_filter(_type="normal", skipme=True)
            assert isinstance((yield bench.store.load(record.id)), Live)


class TestRestart:
    @pytest.fixture
    def private(self, private_redis):
        return private_redis("--appendonly", "yes", "--appendfsync", "always")

    @fact()
    def test_restart_is_noticed_by_nobody(self, bench, private):
        """Dead connections are replaced and lost scripts loaded again, without an error."""
        record = yield from bench.live("ada")
        for end in (private.stop, private.kill):
            end()
            private.start()
            assert isinstance((yield bench.store.touch(record.id)), Live)
            assert isinstance((yield bench.store.load(record.id)), Live)


class TestFrozen:
    @pytest.fixture
    def bench(self, private, colour):
        return bench_on(private.url, colour, timeout=0.5)

    @fact()
    def test_frozen_server_costs_one_timeout(self, bench, private):
        """SIGSTOP: every verb gives up in time, and goes on when the server does."""
        record = yield from bench.live("ada")
        private.pause()
        for _ in range(2):
            started = time.monotonic()
            with pytest.raises(StoreUnavailable) as caught:
                yield bench.store.load(record.id)
            assert 0.4 < time.monotonic() - started < 1.0
            assert not caught.value.disconnected
        private.resume()
        assert isinstance((yield bench.store.load(record.id)), Live)

    @fact()
    def test_waiting_for_a_connection_is_bounded(self, bench, private, monkeypatch):
        """With all connections busy on a frozen server, those who wait give up in time too."""
        monkeypatch.setattr(clients, "MAX_CONNECTIONS", 2)
        store = yield from bench.open()
        yield store.now()
        private.pause()
        started = time.monotonic()

        def attempt():
            with pytest.raises(StoreUnavailable):
                yield store.load("some.id")

        yield from bench.together([attempt() for _ in range(6)])
        assert time.monotonic() - started < 1.5
        private.resume()
        assert isinstance((yield store.load("some.id")), Missing)


class TestLostReplies:
    @pytest.fixture
    def proxy(self, private):
        proxy = LossyProxy(private.url)
        yield proxy
        proxy.close()

    @pytest.fixture
    def bench(self, proxy, colour):
        return bench_on(proxy.url, colour)

    @fact("lost update")
    def test_hundred_increments_with_lost_replies(self, bench, proxy):
        """Connections die after the write and before its reply, 40 times: 100 stays 100."""
        record = yield from bench.live("ada", payload=b"0")
        proxy.lose = 40

        def insist(call):
            while True:
                try:
                    return (yield call())
                except StoreUnavailable:  # lost twice in a row; what is repeated is the same
                    continue

        def count():
            for _ in range(10):
                found = (yield from insist(lambda: bench.store.load(record.id))).record
                while True:
                    write_id = new_write()
                    more = replace(found, payload=b"%d" % (int(found.payload) + 1))
                    save = functools.partial(bench.store.save, more, write_id=write_id)
                    answer = yield from insist(save)
                    if isinstance(answer, Saved):
                        break
                    found = answer.record

        yield from bench.together([count() for _ in range(10)])
        proxy.lose = 0
        assert proxy.lost >= 20
        assert (yield bench.store.load(record.id)).record.payload == b"100"

    @fact()
    def test_lost_reply_of_a_sign_in(self, bench, proxy):
        """The repeat recognises what was done: neither "exists" nor a second session."""
        visitor = yield from bench.live()
        new = yield from bench.draft("ada")
        proxy.lose = 1
        assert isinstance((yield bench.store.create(new)), Saved)
        other = yield from bench.draft("ada")
        proxy.lose = 1
        assert isinstance((yield bench.store.succeed(visitor.id, 1, other)), Saved)
        assert proxy.lost == 2
        assert len((yield from bench.listed("ada"))) == 2

    @fact()
    def test_lost_reply_of_a_logout(self, bench, proxy):
        record = yield from bench.live("ada")
        proxy.lose = 1
        ended = yield bench.store.end(record.id, EndReason.SIGNED_OUT)
        assert proxy.lost == 1
        assert isinstance(ended, Ended)
        assert ended.reason is EndReason.SIGNED_OUT


class TestCancelled:
    async def test_a_cancelled_command_takes_its_connection_along(self, private, server):
        """A reply that nobody waited for is never given to the next caller."""
        store = AsyncRedisStore(private.url, StoreOptions(timeout=10))
        await store.now()
        (first,) = store._client().connection_pool._available_connections
        private.pause()
        task = asyncio.create_task(store.load("some.id"))
        for _ in range(50):  # the command is on its way, the reply awaited
            await asyncio.sleep(0)
        assert store._client().connection_pool._in_use_connections == {first}
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not first.is_connected
        private.resume()
        answers = await asyncio.gather(*(store.load(f"t{n}.x") for n in range(20)), store.now())
        assert all(isinstance(answer, Missing) for answer in answers[:-1])
        assert isinstance(answers[-1], float)
        await store.close()

    async def test_a_storm_of_cancellations(self, redis_url, namespace):
        """Cancelled at any await: no mixed-up answers, no connection lost from the pool."""
        store = AsyncRedisStore(redis_url, StoreOptions(timeout=10, namespace=namespace))
        bench = bench_on(redis_url, "async")
        bench._store = store
        records = []
        for n in range(5):
            records.append(await adrive(bench.live(f"user {n}", payload=b"of %d" % n)))
        for patience in range(60):
            tasks = [asyncio.create_task(store.load(r.id)) for r in records]
            for _ in range(patience % 15):
                await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            for record, answer in zip(records, answers, strict=True):
                if not isinstance(answer, asyncio.CancelledError):
                    assert answer.record.id == record.id
                    assert answer.record.payload == record.payload
                    assert answer.record.user_id == record.user_id
        assert not store._client().connection_pool._in_use_connections
        await store.close()


class TestLimitUnderLoad:
    @pytest.mark.parametrize("action", ["end_oldest", "reject"])
    @fact()
    def test_fifty_sign_ins_leave_three(self, bench, server, action):
        """Fifty at once, in threads or tasks, over several clients: exactly three live."""
        stores = yield from bench.workers(5)
        new = []
        for _ in range(50):
            new.append((yield from bench.draft("ada")))

        def sign_in(n):
            return (yield stores[n % 5].create(new[n], limit=Limit(3, action)))

        answers = yield from bench.together([sign_in(n) for n in range(50)])
        alive = yield from bench.census([record.id for record in new])
        assert len(alive) == 3
        saved = [answer for answer in answers if isinstance(answer, Saved)]
        assert len(saved) == (50 if action == "end_oldest" else 3)
        assert server.zcard(keys_of(bench, new[0])[2]) == 3
