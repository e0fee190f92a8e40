"""Conformance: ending one record, what its tombstone tells, and when it is removed."""
# ruff: noqa: S101 - a conformance suite asserts

from __future__ import annotations

from ..core.contract import Ended, Live, Missing, Saved, Superseded
from ..core.record import EndReason
from ..core.steps import Steps
from .conformance_bench import BRIEF, Bench, fact, new_write

# What a comparison by a collation, instead of by code points, takes for "Zoë".
ALMOST_ZOE = ["zoë", "ZOË", "Zoe", "Zoe\u0308", "Zoë ", " Zoë", "Zoë\x00", "", "Z%", "Zo_"]


class EndConformance:
    """Logout, revocation and removal."""

    @fact("resurrection")
    def test_every_reason_is_kept(self, bench: Bench) -> Steps[None]:
        """The tombstone tells reason, moment and user, to load and to later ends."""
        for user_id in (None, "ada"):
            for reason in EndReason:
                record = yield from bench.live(user_id)
                before = yield bench.store.now()
                ended = yield bench.store.end(record.id, reason)
                assert isinstance(ended, Ended)
                assert ended.fresh
                assert (ended.id, ended.reason, ended.successor) == (record.id, reason, None)
                assert before <= ended.ended_at <= ended.now
                found = yield bench.store.load(record.id)
                assert isinstance(found, Ended)
                assert (found.id, found.reason, found.fresh) == (record.id, reason, False)
                assert (found.user_id, found.successor) == (user_id, None)
                assert abs(found.ended_at - ended.ended_at) < 1e-5

    @fact("resurrection")
    def test_only_the_first_end_is_fresh(self, bench: Bench) -> Steps[None]:
        """A second end answers the first one's reason and is not fresh."""
        record = yield from bench.live("ada")
        yield bench.store.end(record.id, EndReason.SIGNED_OUT)
        for user_id in (None, "ada"):
            again = yield bench.store.end(record.id, EndReason.THEFT, user_id=user_id)
            assert isinstance(again, Ended)
            assert (again.reason, again.fresh) == (EndReason.SIGNED_OUT, False)
        assert (yield bench.store.load(record.id)).reason is EndReason.SIGNED_OUT

    @fact("client-chosen id")
    def test_ending_the_unknown_is_missing(self, bench: Bench) -> Steps[None]:
        """No tombstone is made for what was never there."""
        record = yield from bench.draft("ada")
        assert isinstance((yield bench.store.end(record.id, EndReason.REVOKED)), Missing)
        assert isinstance((yield bench.store.load(record.id)), Missing)
        assert isinstance((yield bench.store.create(record)), Saved)
        assert isinstance((yield bench.store.load(record.id)), Live)

    @fact()
    def test_end_for_another_user_is_missing(self, bench: Bench) -> Steps[None]:
        """With a user id, records of others are left alone: alive, ended or anonymous."""
        theirs = yield from bench.live("Zoë")
        anonymous = yield from bench.live()
        for user_id in [*ALMOST_ZOE, "ada"]:
            for record in (theirs, anonymous):
                answer = yield bench.store.end(record.id, EndReason.REVOKED, user_id=user_id)
                assert isinstance(answer, Missing), user_id
        assert (yield bench.store.load(theirs.id)).record == theirs
        assert (yield bench.store.load(anonymous.id)).record == anonymous
        assert (yield bench.store.end(theirs.id, EndReason.SIGNED_OUT, user_id="Zoë")).fresh
        answer = yield bench.store.end(theirs.id, EndReason.REVOKED, user_id="ada")
        assert isinstance(answer, Missing)
        assert (yield bench.store.load(theirs.id)).reason is EndReason.SIGNED_OUT
        expired = yield from bench.expired("Zoë")
        answer = yield bench.store.end(expired.id, EndReason.REVOKED, user_id="ada")
        assert isinstance(answer, Missing)

    @fact()
    def test_large_session_ends(self, bench: Bench) -> Steps[None]:
        """A megabyte of payload is no obstacle, and its tombstone answers like any other."""
        record = yield from bench.live("ada", payload=b"\xa5" * 2**20)
        assert (yield bench.store.end(record.id, EndReason.SIGNED_OUT)).fresh
        assert isinstance((yield bench.store.load(record.id)), Ended)

    @fact()
    def test_ending_one_leaves_the_others(self, bench: Bench) -> Steps[None]:
        """The user's other sessions, and other users', do not notice."""
        mine = yield from bench.live("ada")
        others = yield from bench.lives("ada", "bob", None)
        yield bench.store.end(mine.id, EndReason.SIGNED_OUT)
        for other in others:
            assert (yield bench.store.load(other.id)).record == other
        assert [r.id for r in (yield from bench.listed("ada"))] == [others[0].id]

    @fact("resurrection")
    def test_tombstone_outlives_a_purge(self, bench: Bench) -> Steps[None]:
        """Within its retention a tombstone keeps its reason and its id, purged or not."""
        record = yield from bench.live("ada")
        old = yield from bench.live("ada")
        new = yield from bench.draft("ada")
        yield bench.store.succeed(old.id, 1, new)
        yield bench.store.end(record.id, EndReason.THEFT)
        yield bench.store.purge_expired()
        assert (yield bench.store.load(record.id)).reason is EndReason.THEFT
        assert (yield bench.store.load(old.id)).successor == new.id
        assert (yield from bench.census([record.id, old.id, new.id])) == [new.id]

    @fact("expiry left to the engine")
    def test_purge_removes_what_is_past_its_retention(self, bench: Bench) -> Steps[None]:
        """Tombstones, expired and revoked records go; what lives stays."""
        yield from bench.fresh(tombstone_retention=BRIEF, ended_retention=BRIEF)
        ended = yield from bench.live("ada")
        replaced = yield from bench.live("ada")
        new = yield from bench.draft("ada")
        revoked = yield from bench.live("bob")
        alive = [record.id for record in (yield from bench.lives("ada", "carl", None))]
        expired = yield from bench.expired("ada", ago=1800.0)
        visitor = yield from bench.expired(ago=1800.0)
        yield bench.store.end(ended.id, EndReason.SIGNED_OUT)
        yield bench.store.succeed(replaced.id, 1, new)
        yield bench.store.end_user(revoked.tag, EndReason.REVOKED)
        yield from self._purge_all(bench)
        for gone in (ended, replaced, expired, visitor):
            assert isinstance((yield bench.store.load(gone.id)), Missing)
        # An engine that removes by itself may forget a record below not-before later.
        assert not isinstance((yield bench.store.load(revoked.id)), Live)
        alive.append(new.id)
        assert (yield from bench.census(alive)) == alive
        listed = {record.id for record in (yield from bench.listed("ada"))}
        assert listed == {alive[0], new.id}

    def _purge_all(self, bench: Bench) -> Steps[int]:
        """Let the retention pass, and purge until nothing is left to purge."""
        yield from bench.until((yield bench.store.now()) + 2 * BRIEF)
        total = 0
        for _ in range(100):
            count: int = yield bench.store.purge_expired()
            assert count >= 0
            total += count
            if count == 0:
                return total
        raise AssertionError("purge_expired never comes to an end")

    @fact()
    def test_purge_respects_its_limit(self, bench: Bench) -> Steps[None]:
        """No more than asked for go at a time; all go in the end, unless the engine was first."""
        yield from bench.fresh(tombstone_retention=BRIEF, ended_retention=BRIEF)
        records = []
        for _ in range(4):
            records.append((yield from bench.live("ada")))
            yield bench.store.end(records[-1].id, EndReason.SIGNED_OUT)
        for _ in range(3):
            records.append((yield from bench.expired("ada", ago=1800.0)))
        alive = yield from bench.live("ada")
        yield from bench.until((yield bench.store.now()) + 2 * BRIEF)
        counts = []
        while count := (yield bench.store.purge_expired(2)):
            counts.append(count)
            assert count <= 2
        assert sum(counts) in (0, 7)
        for record in records:
            assert isinstance((yield bench.store.load(record.id)), Missing)
        assert (yield bench.store.load(alive.id)).record == alive

    @fact("resurrection")
    def test_purged_record_stays_dead(self, bench: Bench) -> Steps[None]:
        """After the tombstone is gone no late save, touch, rotate or succession revives."""
        yield from bench.fresh(tombstone_retention=BRIEF, ended_retention=BRIEF)
        record = yield from bench.live("ada")
        yield bench.store.end(record.id, EndReason.SIGNED_OUT)
        yield from self._purge_all(bench)
        new = yield from bench.draft("ada")
        for answer in (
            (yield bench.store.save(record, write_id=new_write())),
            (yield bench.store.save(record, write_id=record.write_id)),
            (yield bench.store.touch(record.id)),
            (yield bench.store.rotate(record.id, generation=0, next_hash=b"n" * 32)),
            (yield bench.store.succeed(record.id, 1, new)),
            (yield bench.store.end(record.id, EndReason.REVOKED)),
            (yield bench.store.load(record.id)),
        ):
            assert isinstance(answer, Missing), answer
        assert (yield from bench.listed("ada")) == []

    @fact("resurrection")
    def test_purge_keeps_the_not_before(self, bench: Bench) -> Steps[None]:
        """Removing dead records does not let an old password check in again."""
        yield from bench.fresh(tombstone_retention=BRIEF, ended_retention=BRIEF)
        late = yield from bench.draft("ada")
        record = yield from bench.live("ada")
        yield bench.store.end_user(record.tag, EndReason.REVOKED)
        yield from self._purge_all(bench)
        assert isinstance((yield bench.store.create(late)), Superseded)
