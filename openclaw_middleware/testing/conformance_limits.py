"""Conformance: at most N sessions per user, kept in the step that makes the next one."""
# ruff: noqa: S101 - a conformance suite asserts

from __future__ import annotations

from dataclasses import replace

from ..core.contract import Ended, Exists, Limit, LimitReached, Live, Missing, Saved, Superseded
from ..core.record import EndReason
from ..core.steps import Steps
from .conformance_bench import Bench, fact, new_write


class LimitConformance:
    """`create` with a limit; `succeed` with one is in `conformance_successions`."""

    @fact()
    def test_one_too_many_ends_the_oldest(self, bench: Bench) -> Steps[None]:
        """The session longest without activity goes, its reason is "limit", and it is named."""
        ids = []
        for _ in range(3):
            record = yield from bench.draft("ada")
            saved = yield bench.store.create(record, limit=Limit(3))
            assert isinstance(saved, Saved)
            assert saved.ended == ()
            ids.append(record.id)
            yield from bench.tick()
        # The first becomes the most recently used.
        yield bench.store.touch(ids[0])
        yield from bench.tick()
        new = yield from bench.draft("ada")
        saved = yield bench.store.create(new, limit=Limit(3))
        assert isinstance(saved, Saved)
        assert saved.ended == (ids[1],)
        ended = yield bench.store.load(ids[1])
        assert isinstance(ended, Ended)
        assert (ended.reason, ended.user_id) == (EndReason.LIMIT, "ada")
        alive = yield from bench.census([*ids, new.id])
        assert alive == [ids[0], ids[2], new.id]
        assert {r.id for r in (yield from bench.listed("ada"))} == set(alive)

    @fact()
    def test_activity_decides_who_is_oldest(self, bench: Bench) -> Steps[None]:
        """An active save counts as use; a passive one, a load and a rotation do not."""
        records = []
        for _ in range(4):
            records.append((yield from bench.live("ada")))
            yield from bench.tick()
        yield bench.store.save(records[0], write_id=new_write())
        yield bench.store.save(records[1], write_id=new_write(), active=False)
        yield bench.store.rotate(records[1].id, generation=0, next_hash=b"n" * 32)
        yield bench.store.load(records[2].id)
        yield from bench.tick()
        new = yield from bench.draft("ada")
        saved = yield bench.store.create(new, limit=Limit(3))
        assert set(saved.ended) == {records[1].id, records[2].id}

    @fact()
    def test_lower_limit_ends_as_many_as_needed(self, bench: Bench) -> Steps[None]:
        """When the limit was lowered, as many go as it takes for the new one to fit."""
        records = []
        for _ in range(5):
            records.append((yield from bench.live("ada")).id)
            yield from bench.tick()
        new = yield from bench.draft("ada")
        saved = yield bench.store.create(new, limit=Limit(2))
        assert set(saved.ended) == set(records[:4])
        assert (yield from bench.census([*records, new.id])) == [records[4], new.id]

    @fact()
    def test_limit_of_one_leaves_the_new_one(self, bench: Bench) -> Steps[None]:
        """One session per user means the last sign-in wins."""
        ids: list[str] = []
        for _ in range(4):
            new = yield from bench.draft("ada")
            saved = yield bench.store.create(new, limit=Limit(1))
            assert saved.ended == tuple(ids[-1:])
            ids.append(new.id)
        assert (yield from bench.census(ids)) == ids[-1:]

    @fact()
    def test_reject_refuses_and_writes_nothing(self, bench: Bench) -> Steps[None]:
        """A full user is refused until one of the sessions ends."""
        limit = Limit(2, "reject")
        first = yield from bench.live("ada")
        second = yield from bench.draft("ada")
        assert isinstance((yield bench.store.create(second, limit=limit)), Saved)
        third = yield from bench.draft("ada")
        assert isinstance((yield bench.store.create(third, limit=limit)), LimitReached)
        assert isinstance((yield bench.store.load(third.id)), Missing)
        assert (yield from bench.census([first.id, second.id])) == [first.id, second.id]
        yield bench.store.end(first.id, EndReason.SIGNED_OUT)
        assert isinstance((yield bench.store.create(third, limit=limit)), Saved)
        assert isinstance((yield bench.store.load(third.id)), Live)

    @fact("expiry left to the engine")
    def test_dead_sessions_do_not_count(self, bench: Bench) -> Steps[None]:
        """Ended, expired on either clock, or below not-before: none takes a place."""
        yield from bench.live("ada")
        yield bench.store.end_user(bench.tag("ada"), EndReason.REVOKED)
        yield from bench.tick()
        gone = yield from bench.live("ada")
        yield bench.store.end(gone.id, EndReason.SIGNED_OUT)
        yield from bench.expired("ada")
        yield from bench.idle("ada")
        for action in ("reject", "end_oldest"):
            record = yield from bench.draft("ada")
            limit = Limit(1, "reject") if action == "reject" else Limit(2)
            saved = yield bench.store.create(record, limit=limit)
            assert isinstance(saved, Saved), action
            assert saved.ended == ()
        assert len((yield from bench.listed("ada"))) == 2

    @fact()
    def test_limit_is_per_user(self, bench: Bench) -> Steps[None]:
        """Others' sessions do not count, and visitors have no limit."""
        records = yield from bench.lives("bob", "Ada", None, None)
        others = [record.id for record in records]
        for user_id in ("ada", None, None):
            record = yield from bench.draft(user_id)
            saved = yield bench.store.create(record, limit=Limit(1, "reject"))
            assert isinstance(saved, Saved)
            assert saved.ended == ()
        assert (yield from bench.census(others)) == others

    @fact("lost update")
    def test_repeated_create_at_the_limit_is_saved(self, bench: Bench) -> Steps[None]:
        """A retry neither counts itself twice nor ends anybody more."""
        other = yield from bench.live("ada")
        record = yield from bench.draft("ada")
        for limit in (Limit(2), Limit(2), Limit(2, "reject"), Limit(1, "reject"), Limit(1)):
            assert isinstance((yield bench.store.create(record, limit=limit)), Saved)
        alive = yield from bench.census([other.id, record.id])
        assert alive == [other.id, record.id]

    @fact()
    def test_refused_create_ends_nobody(self, bench: Bench) -> Steps[None]:
        """A sign-in that is superseded, or whose id is taken, makes no room."""
        early = yield from bench.draft("ada")
        yield bench.store.end_user(bench.tag("ada"), EndReason.REVOKED)
        yield from bench.tick()
        kept = yield from bench.live("ada")
        assert isinstance((yield bench.store.create(early, limit=Limit(1))), Superseded)
        taken = yield from bench.live("ada")
        again = replace(taken, write_id=new_write())
        assert isinstance((yield bench.store.create(again, limit=Limit(1))), Exists)
        alive = yield from bench.census([kept.id, taken.id])
        assert alive == [kept.id, taken.id]
