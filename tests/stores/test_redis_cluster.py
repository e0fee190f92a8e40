"""The Redis store on a real Cluster: the whole conformance, and successions across slots."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest
import redis

from openclaw_middleware.core.contract import (
    Conflict,
    Ended,
    Limit,
    LimitReached,
    Live,
    Missing,
    Saved,
    Superseded,
)
from openclaw_middleware.core.record import EndReason
from openclaw_middleware.testing import StoreConformance
from openclaw_middleware.testing.conformance import Bench, fact
from openclaw_middleware.testing.conformance_bench import new_write
from tests.stores.redis_tools import close_cluster, stepping_cluster, stepping_store, store_of


@pytest.fixture(scope="module")
def cluster(servers):
    """The URL of one node of a Cluster of three."""
    with stepping_cluster(servers) as url:
        yield url


@pytest.fixture
def make_store(cluster):
    def make(colour, options):
        return stepping_store(cluster, options, colour)

    return make


class TestConformance(StoreConformance):
    @pytest.fixture
    def make_store(self, make_store):
        return make_store

    @pytest.fixture
    def erase_index(self):
        def erase(store, tag):
            yield store._client().delete(f"{store.options.namespace}:{{{tag}}}:i")

        return erase


class Crash(Exception):
    """The process is gone at this point."""


def crash():
    raise Crash


class TestAcrossSlots:
    """A visitor signs in: the old record lies in another slot than the new one."""

    @pytest.fixture(params=["sync", "async"])
    def bench(self, request, make_store):
        return Bench(make_store, request.param)

    def pair(self, bench):
        visitor = yield from bench.live()
        new = yield from bench.draft("ada")
        return visitor, new

    def alive(self, bench, *records):
        return (yield from bench.census([record.id for record in records]))

    @fact()
    def test_cluster_is_declared_and_takes_three_steps(self, bench):
        assert not bench.store.capabilities.atomic_succeed
        visitor, new = yield from self.pair(bench)
        client = bench.store._client()
        client.count = 0
        assert isinstance((yield bench.store.succeed(visitor.id, 1, new)), Saved)
        assert client.count == 3
        found = yield bench.store.load(visitor.id)
        assert (found.reason, found.successor) == (EndReason.REPLACED, new.id)
        assert (yield from self.alive(bench, visitor, new)) == [new.id]
        assert [r.id for r in (yield from bench.listed("ada"))] == [new.id]

    @fact()
    def test_one_user_is_one_step(self, bench):
        old = yield from bench.live("ada")
        new = yield from bench.draft("ada")
        client = bench.store._client()
        client.count = 0
        assert isinstance((yield bench.store.succeed(old.id, 1, new)), Saved)
        assert client.count == 1

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("step", [1, 2, 3])
    @fact("old id survives")
    def test_a_crash_leaves_old_or_new_or_neither(self, bench, step, when):
        """Between any two steps the process dies: never are both alive, and what was reserved
        is gone soon and is nobody's session meanwhile."""
        visitor, new = yield from self.pair(bench)
        client = bench.store._client()
        client.at(step, when, crash)
        with pytest.raises(Crash):
            yield bench.store.succeed(visitor.id, 1, new)
        alive = yield from self.alive(bench, visitor, new)
        done = step - (when == "before")
        assert alive == [[visitor.id], [visitor.id], [], [new.id]][done]
        assert [r.id for r in (yield from bench.listed("ada"))] == [i for i in alive if i == new.id]
        if done in (1, 2):
            left = yield client.pttl(bench.store._keys(new.id)[0])
            assert 0 < left <= 8000 * bench.options.timeout + 1
            for answer in (
                (yield bench.store.touch(new.id)),
                (yield bench.store.save(new, write_id=new_write())),
                (yield bench.store.rotate(new.id, generation=0)),
                (yield bench.store.end(new.id, EndReason.SIGNED_OUT)),
            ):
                assert isinstance(answer, Missing)

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("step", [1, 2, 3])
    @fact("lost update")
    def test_a_broken_off_succession_can_be_repeated(self, bench, step, when):
        """With the same write id the repeat goes on where it broke off."""
        visitor, new = yield from self.pair(bench)
        bench.store._client().at(step, when, crash)
        with pytest.raises(Crash):
            yield bench.store.succeed(visitor.id, 1, new)
        assert isinstance((yield bench.store.succeed(visitor.id, 1, new)), Saved)
        assert (yield from self.alive(bench, visitor, new)) == [new.id]

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("step", [1, 2, 3])
    @fact()
    def test_a_connection_that_breaks_is_made_good(self, bench, step, when):
        """The shell's own repeat after a dead connection does the same."""
        visitor, new = yield from self.pair(bench)

        def broken():
            raise redis.ConnectionError("Connection closed by server.")

        bench.store._client().at(step, when, broken)
        assert isinstance((yield bench.store.succeed(visitor.id, 1, new)), Saved)
        assert (yield from self.alive(bench, visitor, new)) == [new.id]

    def interleaved(self, bench, step, hook):
        """A succession with `hook`, a verb of another process, before the given step."""
        visitor, new = yield from self.pair(bench)
        (other,) = (yield from bench.workers(2))[1:]
        bench.store._client().at(step, "before", lambda: hook(other, visitor, new))
        answer = yield bench.store.succeed(visitor.id, 1, new)
        return visitor, new, answer

    @fact("resurrection")
    def test_logout_in_between_wins(self, bench):
        """The old session ends after the reservation: no successor, and the place is free."""
        visitor, new, answer = yield from self.interleaved(
            bench, 2, lambda other, old, new: other.end(old.id, EndReason.SIGNED_OUT)
        )
        assert isinstance(answer, Ended)
        assert answer.reason is EndReason.SIGNED_OUT
        assert (yield from self.alive(bench, visitor, new)) == []
        key, _, index = bench.store._keys(new.id)
        client = bench.store._client()
        assert (yield client.exists(key)) == 0
        assert (yield client.exists(index)) == 0

    @fact("lost update")
    def test_save_in_between_is_a_conflict(self, bench):
        """A change to the old session after the reservation is not lost: the caller merges."""
        visitor, new, answer = yield from self.interleaved(
            bench, 2, lambda other, old, new: other.save(old, write_id=new_write())
        )
        assert isinstance(answer, Conflict)
        assert (answer.record.id, answer.record.version) == (visitor.id, 2)
        assert (yield from self.alive(bench, visitor, new)) == [visitor.id]
        assert isinstance((yield bench.store.succeed(visitor.id, 2, new)), Saved)

    @fact()
    def test_touch_in_between_does_not_matter(self, bench):
        visitor, new, answer = yield from self.interleaved(
            bench, 2, lambda other, old, new: other.touch(old.id)
        )
        assert isinstance(answer, Saved)
        assert (yield from self.alive(bench, visitor, new)) == [new.id]

    @pytest.mark.parametrize("step", [2, 3])
    @fact("resurrection")
    def test_log_out_everywhere_in_between_wins(self, bench, step):
        """The password was checked before it: nobody is signed in afterwards."""
        visitor, new, answer = yield from self.interleaved(
            bench, step, lambda other, old, new: other.end_user(new.tag, EndReason.REVOKED)
        )
        assert isinstance(answer, Superseded)
        assert (yield from self.alive(bench, visitor, new)) == []
        assert (yield bench.store._client().exists(bench.store._keys(new.id)[0])) == 0

    @fact()
    def test_a_reserved_place_is_taken(self, bench):
        """With "reject", whoever comes between the steps finds the user's last place taken."""
        visitor, new = yield from self.pair(bench)
        (other,) = (yield from bench.workers(2))[1:]
        results = []

        def hook():
            rival = replace(new, id=f"{new.tag}.rival", write_id=new_write())
            pending = other.create(rival, limit=Limit(1, "reject"))
            if not inspect.isawaitable(pending):
                results.append(pending)
                return None

            async def wait():
                results.append(await pending)

            return wait()

        bench.store._client().at(2, "before", hook)
        answer = yield bench.store.succeed(visitor.id, 1, new, limit=Limit(1, "reject"))
        assert isinstance(answer, Saved)
        assert [type(result) for result in results] == [LimitReached]

    @pytest.mark.parametrize("action", ["end_oldest", "reject"])
    @fact()
    def test_thirty_sign_ins_leave_three(self, bench, action):
        """Thirty visitors sign in as one user at once: exactly three live, no visitor with them."""
        stores = yield from bench.workers(3)
        visitors = yield from bench.lives(*[None] * 30)
        new = []
        for _ in visitors:
            new.append((yield from bench.draft("ada")))

        def sign_in(n):
            return (yield stores[n % 3].succeed(visitors[n].id, 1, new[n], limit=Limit(3, action)))

        answers = yield from bench.together([sign_in(n) for n in range(30)])
        alive = yield from self.alive(bench, *new)
        assert len(alive) == 3
        saved = [n for n, answer in enumerate(answers) if isinstance(answer, Saved)]
        assert len(saved) == (30 if action == "end_oldest" else 3)
        left = yield from self.alive(bench, *visitors)
        assert left == [visitor.id for n, visitor in enumerate(visitors) if n not in saved]


class TestPlainClient:
    """A client that knows nothing of slots, as behind a proxy: the server tells."""

    def test_cross_slot_answer_of_the_server(self, cluster):
        class Naive:
            def __init__(self, client):
                self.client = client
                self.refused = 0

            def execute_command(self, *args):
                keys = args[3 : 3 + args[2]]
                node = self.client.get_node_from_key(keys[0])
                if len({self.client.keyslot(key) for key in keys}) > 1:
                    self.refused += 1
                return node.redis_connection.execute_command(*args)

        client = redis.RedisCluster.from_url(cluster)
        try:
            bench = Bench(lambda colour, options: store_of(Naive(client), options), "sync")

            def body():
                for refusals in (1, 1):
                    visitor = yield from bench.live()
                    new = yield from bench.draft("ada")
                    assert isinstance((yield bench.store.succeed(visitor.id, 1, new)), Saved)
                    assert isinstance((yield bench.store.load(new.id)), Live)
                    assert bench.store._client().refused == refusals

            bench.run(body())
        finally:
            close_cluster(client)
