"""The Redis store beyond conformance: keys, expiry, clocks, exact times, damaged data, scripts."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from importlib.resources import files

import pytest
import redis
from redis.crc import key_slot

from openclaw_middleware.core.contract import Ended, Exists, Limit, Live, Missing, Saved
from openclaw_middleware.core.record import EndReason
from openclaw_middleware.errors import StoreUnavailable
from openclaw_middleware.stores import redis_wire as wire
from openclaw_middleware.testing.conformance import fact
from openclaw_middleware.testing.conformance_bench import new_write
from tests.stores.redis_tools import bench_on, keys_of

SCRIPTS = files("openclaw_middleware.stores") / "redis_scripts"
VERBS = sorted({p.name.removesuffix(".lua") for p in SCRIPTS.iterdir()} - {"prelude", "writing"})


@pytest.fixture(params=["sync", "async"])
def colour(request):
    return request.param


@pytest.fixture
def bench(redis_url, colour):
    return bench_on(redis_url, colour)


@pytest.fixture
def server(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


class TestKeys:
    @fact()
    def test_a_user_is_one_slot_and_visitors_spread(self, bench, server):
        """A user's keys hash to one Cluster slot, anonymous sessions to slots of their own."""
        mine = yield from bench.lives("ada", "ada", "ada")
        slots = {key_slot(key.encode()) for r in mine for key in keys_of(bench, r)}
        assert len(slots) == 1
        visitors = yield from bench.lives(*[None] * 8)
        assert len({key_slot(keys_of(bench, r)[0].encode()) for r in visitors}) > 4
        for visitor in visitors:
            key, *rest = keys_of(bench, visitor)
            assert {key_slot(k.encode()) for k in rest} == {key_slot(key.encode())}
            assert server.exists(key) == 1
            assert server.exists(*rest) == 0

    @fact()
    def test_engine_expiry_is_the_deadline_and_the_retention(self, bench, server):
        """A live key outlasts its deadline by `ended_retention`, whatever moves the deadline."""
        record = yield from bench.live("ada", idle_timeout=50.0, absolute_timeout=80.0)
        key, user, index = keys_of(bench, record)

        def left(name):
            return server.pttl(name) / 1000

        kept = bench.options.ended_retention
        assert left(key) == pytest.approx(50 + kept, abs=10)
        assert left(index) == pytest.approx(80 + kept, abs=10)
        longer = replace(record, idle_timeout=500.0, absolute_timeout=9000.0)
        yield bench.store.save(longer, write_id=new_write())
        assert left(key) == pytest.approx(500 + kept, abs=10)
        assert left(index) == pytest.approx(9000 + kept, abs=10)
        server.pexpire(key, 1_000_000)
        yield bench.store.touch(record.id)
        assert left(key) == pytest.approx(500 + kept, abs=10)
        yield bench.store.end(record.id, EndReason.SIGNED_OUT)
        assert left(key) == pytest.approx(bench.options.tombstone_retention, abs=10)
        assert server.hkeys(key) == [b"u", b"e", b"r"]
        yield bench.store.end_user(record.tag, EndReason.REVOKED)
        assert left(user) == pytest.approx(bench.options.not_before_retention, abs=10)

    @fact()
    def test_index_life_is_only_ever_extended(self, bench, server):
        """A short session beside a long one does not shorten the life of their index."""
        long = yield from bench.live("ada", absolute_timeout=90000.0)
        index = keys_of(bench, long)[2]
        before = server.pttl(index)
        short = yield from bench.live("ada", absolute_timeout=10.0)
        yield bench.store.touch(short.id)
        yield bench.store.end(short.id, EndReason.SIGNED_OUT)
        assert server.pttl(index) > before - 60_000

    @fact("resurrection")
    def test_a_not_before_outlives_sessions_of_longer_limits(self, bench, server):
        """An application that keeps its users' not-before for less ends another one's as well."""
        year = 365 * 86400.0
        grown = yield from bench.live("ada", idle_timeout=50.0, absolute_timeout=80.0)
        user = keys_of(bench, grown)[1]
        longer = replace(grown, idle_timeout=year, absolute_timeout=year)
        yield bench.store.save(longer, write_id=new_write())
        assert server.pttl(user) / 1000 == pytest.approx(
            year + bench.options.ended_retention, abs=10
        )
        other = yield from bench.open(not_before_retention=100.0)
        yield other.end_user(grown.tag, EndReason.REVOKED)
        assert server.pttl(user) >= server.pttl(keys_of(bench, grown)[0])

    @fact()
    def test_index_forgets_what_is_over(self, bench, server):
        """Expired members go with the next sign-in, vanished ones when met; touches bring back."""
        gone = yield from bench.live("ada")
        index = keys_of(bench, gone)[2]
        yield from bench.idle("ada")
        server.delete(keys_of(bench, gone)[0])
        server.zadd(index, {"not one of ours": 9e9})
        assert server.zcard(index) == 3
        live = yield from bench.live("ada")
        assert server.zcard(index) == 3
        assert [r.id for r in (yield from bench.listed("ada"))] == [live.id]
        assert server.zrange(index, 0, -1) == [live.id.encode()]
        server.delete(index)
        yield bench.store.touch(live.id)
        assert [r.id for r in (yield from bench.listed("ada"))] == [live.id]

    @fact()
    def test_vanished_sessions_do_not_count_for_the_limit(self, bench, server):
        """An index that names sessions the engine dropped keeps nobody out."""
        for _ in range(3):
            record = yield from bench.live("ada")
            server.delete(keys_of(bench, record)[0])
        new = yield from bench.draft("ada")
        assert isinstance((yield bench.store.create(new, limit=Limit(1, "reject"))), Saved)
        assert server.zcard(keys_of(bench, new)[2]) == 1

    @fact()
    def test_log_out_everywhere_costs_the_same_for_many(self, bench, server):
        """With 100,000 sessions listed the call runs no more commands than with one."""
        counts = []
        for size in (1, 100_000):
            record = yield from bench.live(f"user of {size}")
            index = keys_of(bench, record)[2]
            members = {f"{record.tag}.{n}": 9e9 for n in range(size - 1)}
            if members:
                server.zadd(index, members)
            before = server.info("stats")["total_commands_processed"]
            ended = yield bench.store.end_user(record.tag, EndReason.REVOKED)
            counts.append(server.info("stats")["total_commands_processed"] - before)
            assert ended.ended == min(size, 1000)
            assert isinstance((yield bench.store.load(record.id)), Ended)
        assert max(counts) - min(counts) <= 2


class TestClock:
    @pytest.fixture
    def broken_clock(self, monkeypatch):
        def broken():
            raise AssertionError("the application's clock was read")

        monkeypatch.setattr("time.time", broken)
        return broken

    @fact("naive or local clocks")
    def test_the_applications_clock_is_never_read(self, bench, broken_clock):
        """Every verb works on a node that has no clock at all."""
        bench.clock = broken_clock
        store = yield from bench.open(clock=broken_clock)
        record = yield from bench.live("ada")
        yield store.touch(record.id, not_after=record.created_at + 99)
        yield store.save(record, write_id=new_write())
        yield store.rotate(record.id, generation=0, next_hash=b"n" * 32)
        assert isinstance((yield store.end(record.id, EndReason.SIGNED_OUT)), Ended)

    @fact()
    def test_times_come_back_bit_for_bit(self, bench):
        """Whatever float Python wrote, Redis gives the same 64 bits back."""
        now = yield bench.store.now()
        odd = [now - 0.1, now - 1 / 3, 1e-300, 5e-324, 0.1 + 0.2, 1.7e308, 123456789.123456789]
        for value in odd:
            limits = {"idle_timeout": 1.7e308, "absolute_timeout": 1.7e308}
            record = yield from bench.draft("ada", created_at=value, valid_from=now, **limits)
            record = replace(record, authenticated_at=value, policy="é", user_id="ada")
            assert isinstance((yield bench.store.create(record)), Saved)
            found = (yield bench.store.load(record.id)).record
            for name in ("created_at", "authenticated_at", "idle_timeout", "absolute_timeout"):
                wrote, read = getattr(record, name), getattr(found, name)
                assert struct.pack("d", wrote) == struct.pack("d", read), name

    @fact()
    def test_nobody_is_valid_from_the_future(self, bench):
        """A sign-in dated ahead of the server does not outlive a later log-out-everywhere."""
        now = yield bench.store.now()
        record = yield from bench.draft("ada", valid_from=now + 300)
        assert isinstance((yield bench.store.create(record)), Saved)
        yield bench.store.end_user(record.tag, EndReason.REVOKED)
        assert isinstance((yield bench.store.load(record.id)), Ended)

    @fact()
    def test_log_out_everywhere_after_the_clock_went_back(self, bench, server):
        """With a not-before ahead of the clock, who was spared by it is ended by the next."""
        record = yield from bench.live("ada")
        user = keys_of(bench, record)[1]
        ahead = f"{record.created_at + 500:.6f}"
        server.hset(user, mapping={"t": ahead, "r": "revoked"})
        server.hset(keys_of(bench, record)[0], "f", f"{float(ahead) + 1e-6:.6f}")
        assert isinstance((yield bench.store.load(record.id)), Live)
        ended = yield bench.store.end_user(record.tag, EndReason.THEFT)
        assert ended.not_before > float(ahead)
        found = yield bench.store.load(record.id)
        assert isinstance(found, Ended)
        assert found.reason is EndReason.THEFT


class TestDamage:
    @pytest.mark.parametrize(
        "hurt",
        [
            lambda server, key: (server.delete(key), server.set(key, "a string")),
            lambda server, key: (server.delete(key), server.hset(key, "foreign", "hash")),
            lambda server, key: server.hset(key, "l", "yesterday"),
            lambda server, key: server.hset(key, "v", "x"),
            lambda server, key: server.hdel(key, "s"),
            lambda server, key: server.hdel(key, "p"),
            lambda server, key: server.hset(key, "g", "1.5"),
        ],
        ids=["string", "hash", "time", "version", "secret", "payload", "generation"],
    )
    @fact("client-chosen id")
    def test_damaged_or_foreign_keys_are_never_adopted(self, bench, server, hurt):
        """Loads as missing, is not overwritten, and no verb crashes."""
        record = yield from bench.live("ada")
        key = keys_of(bench, record)[0]
        hurt(server, key)
        content = server.dump(key)
        store = bench.store
        assert isinstance((yield store.load(record.id)), Missing)
        assert isinstance((yield store.create(replace(record, write_id="w2"))), Exists)
        assert server.dump(key) == content
        assert (yield from bench.listed("ada")) == []
        assert isinstance((yield store.rotate(record.id, generation=9)), Missing)
        assert server.dump(key) == content

    @fact()
    def test_unreadable_not_before_fails_closed(self, bench, server):
        """When it cannot be known whether the user was logged out everywhere, nobody is let in."""
        record = yield from bench.live("ada")
        server.hset(keys_of(bench, record)[1], mapping={"t": "long ago", "r": "revoked"})
        with pytest.raises(StoreUnavailable):
            yield bench.store.load(record.id)
        server.set(keys_of(bench, record)[1], "a string")
        with pytest.raises(StoreUnavailable):
            yield bench.store.create((yield from bench.draft("ada")))

    @fact()
    def test_unknown_reason_of_a_tombstone_is_gone(self, bench, server):
        """A tombstone by a newer version of the package still says that the session is over."""
        record = yield from bench.live("ada")
        yield bench.store.end(record.id, EndReason.REVOKED)
        server.hset(keys_of(bench, record)[0], "r", "abducted")
        assert (yield bench.store.load(record.id)).reason is EndReason.GONE


class TestTrips:
    @fact("write per request", "record per visit")
    def test_load_is_one_script_and_writes_nothing(self, bench, server):
        """One EVALSHA, no write at the server, for what lives, is over, or was never there."""
        record = yield from bench.live("ada")
        ended = yield from bench.live("ada")
        expired = yield from bench.expired("ada")
        yield bench.store.end(ended.id, EndReason.SIGNED_OUT)
        ids = [record.id, ended.id, expired.id, "some.stranger", ".visitor"]
        yield bench.store.load(ids[0])
        server.config_resetstat()
        before = server.info("persistence")["rdb_changes_since_last_save"]
        for session_id in ids:
            yield bench.store.load(session_id)
        assert server.info("persistence")["rdb_changes_since_last_save"] == before
        calls = server.info("commandstats")
        assert calls["cmdstat_evalsha"]["calls"] == len(ids)
        assert not {name for name in calls if name.split("_")[1] in ("hset", "pexpireat", "eval")}

    @fact()
    def test_writes_are_one_script_each(self, bench, server):
        """Every verb is one trip where one slot suffices."""
        record = yield from bench.live("ada")
        new = yield from bench.draft("ada")
        store = bench.store
        for verb in VERBS:
            server.script_load(wire.script(verb).text)
        server.config_resetstat()
        yield store.save(record, write_id=new_write())
        yield store.touch(record.id)
        yield store.rotate(record.id, generation=0)
        yield store.succeed(record.id, 2, new)
        yield store.sessions_of(new.tag)
        yield store.end(new.id, EndReason.SIGNED_OUT)
        yield store.end_user(new.tag, EndReason.REVOKED)
        calls = server.info("commandstats")
        assert calls["cmdstat_evalsha"]["calls"] == 7
        assert "cmdstat_eval" not in calls

    @fact()
    def test_purge_has_nothing_to_do(self, bench, server):
        """The server drops keys by itself; a purge asks it nothing, least of all for its keys."""
        server.config_resetstat()
        assert (yield bench.store.purge_expired()) == 0
        assert not {"cmdstat_scan", "cmdstat_keys"} & set(server.info("commandstats"))
        stats = yield bench.store.stats()
        assert stats.live is None
        assert "keys" in stats.detail


class TestScripts:
    @pytest.mark.parametrize("verb", VERBS)
    def test_each_script_compiles_alone(self, server, verb):
        """With what belongs in front of it, each is a whole; nothing leaks to globals."""
        assert server.script_load(wire.script(verb).text) == wire.script(verb).sha

    def test_no_command_is_newer_than_redis_6_2(self):
        """Only commands that Redis 6.2 and Valkey 7.2 have, and none that walks the keyspace."""
        known = {"EXISTS", "HDEL", "HGET", "HMGET", "HSET", "PEXPIREAT", "PTTL", "TIME", "UNLINK"}
        known |= {
            "PUBLISH",
            "ZADD",
            "ZCOUNT",
            "ZRANGEBYSCORE",
            "ZREM",
            "ZREMRANGEBYSCORE",
            "ZSCORE",
        }
        used = set()
        for path in SCRIPTS.iterdir():
            used |= set(re.findall(r"redis\.p?call\('([A-Z]+)'", path.read_text("utf-8")))
        assert used <= known

    @fact()
    def test_flushed_scripts_come_back(self, bench, server):
        """SCRIPT FLUSH between any two calls is noticed by nobody."""
        record = yield from bench.live("ada")
        for call in (
            lambda: bench.store.load(record.id),
            lambda: bench.store.touch(record.id),
            lambda: bench.store.now(),
            lambda: bench.store.end(record.id, EndReason.SIGNED_OUT),
        ):
            server.script_flush()
            yield call()
        assert isinstance((yield bench.store.load(record.id)), Ended)


class TestWrites:
    @fact("lost update")
    def test_a_repeat_after_others_wrote_is_still_our_write(self, bench):
        """The reply of a save is lost, others save, then it is repeated: done once, and the
        version is the one it made, so that a next save on it conflicts."""
        mine = yield from bench.live("ada")
        write_id = new_write()
        first = yield bench.store.save(replace(mine, payload=b"mine"), write_id=write_id)
        for _ in range(60):
            current = (yield bench.store.load(mine.id)).record
            yield bench.store.save(replace(current, payload=b"theirs"), write_id=new_write())
        again = yield bench.store.save(replace(mine, payload=b"mine"), write_id=write_id)
        assert isinstance(again, Saved)
        assert again.version == first.version
        assert (yield bench.store.load(mine.id)).record.payload == b"theirs"

    @fact()
    def test_earlier_writes_do_not_pile_up(self, bench, server):
        """Many quick saves, or saves long ago, leave a bounded memory behind."""
        record = yield from bench.live("ada")
        key = keys_of(bench, record)[0]
        for _ in range(300):
            saved = yield bench.store.save(record, write_id=new_write())
            record = replace(record, version=saved.version)
        assert len(server.hget(key, "k")) < 8100
        server.hset(key, "k", "|old 1 1000.000000 |older 1 999.000000 ")
        yield bench.store.save(record, write_id=new_write())
        assert server.hget(key, "k").count(b"|") == 1
