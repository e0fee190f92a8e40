"""Conformance: succeed ends one record and makes another, in one step or not at all."""
# ruff: noqa: S101 - a conformance suite asserts

from __future__ import annotations

from dataclasses import replace

import pytest

from ..core.contract import (
    Conflict,
    Ended,
    Exists,
    Limit,
    LimitReached,
    Live,
    Missing,
    Saved,
    Superseded,
)
from ..core.record import EndReason, Record
from ..core.steps import Steps
from .conformance_bench import Bench, fact, new_write

# From whom to whom: regenerate, sign-in, logout with leftovers, another user's sign-in.
CHANGES = [("ada", "ada"), (None, "ada"), ("ada", None), ("ada", "bob"), (None, None)]


class SuccessionConformance:
    """New identity at a change of privilege."""

    @pytest.mark.parametrize(("before", "after"), CHANGES)
    @fact("old id survives")
    def test_succession_ends_the_old_and_makes_the_new(
        self, bench: Bench, before: str | None, after: str | None
    ) -> Steps[None]:
        """Afterwards the old record is a tombstone that names its living successor."""
        old = yield from bench.live(before)
        new = yield from bench.draft(after, payload=b"new")
        lower = yield from bench.tick()
        saved = yield bench.store.succeed(old.id, old.version, new)
        assert isinstance(saved, Saved)
        assert (saved.version, saved.ended) == (1, ())
        ended = yield bench.store.load(old.id)
        assert isinstance(ended, Ended)
        assert (ended.reason, ended.successor) == (EndReason.REPLACED, new.id)
        assert (ended.user_id, ended.fresh) == (before, False)
        found = yield bench.store.load(new.id)
        assert isinstance(found, Live)
        active, promoted = found.record.last_active_at, found.record.promoted_at
        assert found.record == replace(new, last_active_at=active, promoted_at=promoted)
        assert lower <= active <= found.now
        assert lower <= promoted <= found.now
        for user_id in ("ada", "bob"):
            listed = [record.id for record in (yield from bench.listed(user_id))]
            assert listed == ([new.id] if user_id == after else [])

    @fact()
    def test_reason_of_the_succession_is_kept(self, bench: Bench) -> Steps[None]:
        """Another reason than "replaced" is what the old record's tombstone tells."""
        old = yield from bench.live("ada")
        new = yield from bench.draft()
        yield bench.store.succeed(old.id, 1, new, reason=EndReason.SIGNED_OUT)
        assert (yield bench.store.load(old.id)).reason is EndReason.SIGNED_OUT

    @pytest.mark.parametrize(("before", "after"), CHANGES)
    @fact("old id survives", "resurrection")
    def test_nothing_revives_the_old_id(
        self, bench: Bench, before: str | None, after: str | None
    ) -> Steps[None]:
        """Save, touch, rotate, create and a second succession answer Ended or Exists."""
        old = yield from bench.live(before)
        new = yield from bench.draft(after)
        yield bench.store.succeed(old.id, 1, new)
        third = yield from bench.draft(after)
        for answer in (
            (yield bench.store.save(old, write_id=new_write())),
            (yield bench.store.touch(old.id)),
            (yield bench.store.rotate(old.id, generation=0, next_hash=b"n" * 32)),
            (yield bench.store.succeed(old.id, 1, third)),
            (yield bench.store.end(old.id, EndReason.SIGNED_OUT)),
        ):
            assert isinstance(answer, Ended), answer
            assert (answer.reason, answer.successor) == (EndReason.REPLACED, new.id)
            assert not answer.fresh
        assert isinstance((yield bench.store.create(old)), Exists)
        assert (yield from bench.census([old.id, new.id, third.id])) == [new.id]

    @pytest.mark.parametrize(("before", "after"), CHANGES)
    @fact("lost update", "old id survives")
    def test_conflict_leaves_both_as_they_were(
        self, bench: Bench, before: str | None, after: str | None
    ) -> Steps[None]:
        """If the old record was written meanwhile, it is answered, and nothing happened."""
        seen = yield from bench.live(before)
        yield bench.store.save(replace(seen, payload=b"other"), write_id=new_write())
        current = (yield bench.store.load(seen.id)).record
        new = yield from bench.draft(after)
        answer = yield bench.store.succeed(seen.id, seen.version, new)
        assert isinstance(answer, Conflict)
        assert answer.record == current
        assert (yield bench.store.load(seen.id)).record == current
        assert isinstance((yield bench.store.load(new.id)), Missing)
        retried = yield bench.store.succeed(seen.id, current.version, new)
        assert isinstance(retried, Saved)

    @fact("lost update")
    def test_a_birth_repeated_after_others_wrote_to_it_is_saved(self, bench: Bench) -> Steps[None]:
        """Its reply came late: the answer is the version it made, not the one there is by now."""
        for user_id in (None, "ada"):
            born = yield from bench.draft(user_id)
            old = yield from bench.live(user_id)
            new = yield from bench.draft(user_id)
            yield bench.store.create(born)
            yield bench.store.succeed(old.id, 1, new)
            for record in (born, new):
                yield bench.store.save(replace(record, payload=b"x"), write_id=new_write())
            for answer in (
                (yield bench.store.create(born)),
                (yield bench.store.succeed(old.id, 1, new)),
            ):
                assert isinstance(answer, Saved), answer
                assert answer.version == 1
            for record in (born, new):
                assert (yield bench.store.load(record.id)).record.payload == b"x"

    @pytest.mark.parametrize(("before", "after"), CHANGES)
    @fact("lost update")
    def test_succession_repeated_with_its_write_id_is_saved(
        self, bench: Bench, before: str | None, after: str | None
    ) -> Steps[None]:
        """A retry recognises its own success, ends nobody more and changes nothing."""
        limit = Limit(2)
        others: list[Record] = []
        if after is not None:
            others = [(yield from bench.live(after))]
        old = yield from bench.live(before)
        new = yield from bench.draft(after)
        yield bench.store.succeed(old.id, 1, new, limit=limit)
        made = (yield bench.store.load(new.id)).record
        yield from bench.tick()
        again = yield bench.store.succeed(old.id, 1, new, limit=limit)
        assert isinstance(again, Saved)
        assert again.version == 1
        assert (yield bench.store.load(new.id)).record == made
        kept = [record.id for record in others] + [new.id]
        assert (yield from bench.census([*kept, old.id])) == kept

    @fact("client-chosen id", "resurrection")
    def test_succession_of_nothing_creates_nothing(self, bench: Bench) -> Steps[None]:
        """An unknown old record is Missing, an ended one Ended; the new one is not made."""
        unknown = yield from bench.draft("ada")
        ended = yield from bench.live("ada")
        yield bench.store.end(ended.id, EndReason.SIGNED_OUT)
        new = yield from bench.draft("ada")
        assert isinstance((yield bench.store.succeed(unknown.id, 1, new)), Missing)
        answer = yield bench.store.succeed(ended.id, 1, new)
        assert isinstance(answer, Ended)
        assert answer.reason is EndReason.SIGNED_OUT
        assert isinstance((yield bench.store.load(new.id)), Missing)
        assert (yield from bench.listed("ada")) == []

    @pytest.mark.parametrize("before", [None, "ada", "bob"])
    @fact("client-chosen id", "old id survives")
    def test_occupied_new_id_is_refused(self, bench: Bench, before: str | None) -> Steps[None]:
        """A new id that is a record or a tombstone answers Exists and leaves the old alone."""
        old = yield from bench.live(before)
        taken = yield from bench.live("ada")
        buried = yield from bench.live("ada")
        yield bench.store.end(buried.id, EndReason.REVOKED)
        for other in (taken, buried):
            new = replace(other, write_id=new_write(), payload=b"intruder")
            assert isinstance((yield bench.store.succeed(old.id, 1, new)), Exists)
            assert (yield bench.store.load(old.id)).record == old
        assert (yield bench.store.load(taken.id)).record == taken
        assert isinstance((yield bench.store.load(buried.id)), Ended)

    @fact("old id survives")
    def test_record_cannot_succeed_itself(self, bench: Bench) -> Steps[None]:
        """The new identity has to be a new one."""
        old = yield from bench.live("ada")
        new = replace(old, write_id=new_write(), payload=b"self")
        assert isinstance((yield bench.store.succeed(old.id, 1, new)), Exists)
        assert (yield bench.store.load(old.id)).record == old

    @pytest.mark.parametrize("before", [None, "ada", "bob"])
    @fact("old id survives")
    def test_superseded_sign_in_leaves_the_old(
        self, bench: Bench, before: str | None
    ) -> Steps[None]:
        """A sign-in verified before the user's not-before is refused; the visitor keeps theirs."""
        checked = yield bench.store.now()
        yield from bench.tick()
        yield bench.store.end_user(bench.tag("ada"), EndReason.REVOKED)
        yield from bench.tick()
        old = yield from bench.live(before)
        new = yield from bench.draft("ada", valid_from=checked)
        assert isinstance((yield bench.store.succeed(old.id, 1, new)), Superseded)
        assert (yield bench.store.load(old.id)).record == old
        assert isinstance((yield bench.store.load(new.id)), Missing)

    @pytest.mark.parametrize("before", [None, "bob"])
    @fact("old id survives")
    def test_rejected_by_the_limit_leaves_the_old(
        self, bench: Bench, before: str | None
    ) -> Steps[None]:
        """With the limit's action "reject" a full user is refused, and nothing happened."""
        kept = yield from bench.live("ada")
        old = yield from bench.live(before)
        new = yield from bench.draft("ada")
        answer = yield bench.store.succeed(old.id, 1, new, limit=Limit(1, "reject"))
        assert isinstance(answer, LimitReached)
        assert (yield bench.store.load(old.id)).record == old
        assert (yield bench.store.load(kept.id)).record == kept
        assert isinstance((yield bench.store.load(new.id)), Missing)

    @pytest.mark.parametrize("action", ["reject", "end_oldest"])
    @fact()
    def test_limit_counts_the_new_but_not_the_old(self, bench: Bench, action: str) -> Steps[None]:
        """Regenerating at the limit ends nobody else, and is not refused."""
        limit = Limit(2, "reject" if action == "reject" else "end_oldest")
        other = yield from bench.live("ada")
        yield from bench.tick()
        old = yield from bench.live("ada")
        for _ in range(3):
            new = yield from bench.draft("ada")
            saved = yield bench.store.succeed(old.id, 1, new, limit=limit)
            assert isinstance(saved, Saved)
            assert saved.ended == ()
            old = new
        assert (yield from bench.census([other.id, old.id])) == [other.id, old.id]

    @pytest.mark.parametrize("before", [None, "bob"])
    @fact()
    def test_sign_in_over_the_limit_ends_the_oldest(
        self, bench: Bench, before: str | None
    ) -> Steps[None]:
        """With "end_oldest" the user's longest unused sessions make room, and are named."""
        sessions = []
        for _ in range(3):
            sessions.append((yield from bench.live("ada")).id)
            yield from bench.tick()
        yield bench.store.touch(sessions[0])
        old = yield from bench.live(before)
        new = yield from bench.draft("ada")
        saved = yield bench.store.succeed(old.id, 1, new, limit=Limit(2))
        assert isinstance(saved, Saved)
        assert set(saved.ended) == {sessions[1], sessions[2]}
        alive = yield from bench.census([*sessions, old.id, new.id])
        assert alive == [sessions[0], new.id]
        assert (yield bench.store.load(sessions[1])).reason is EndReason.LIMIT

    @fact("old id survives")
    def test_chain_can_be_followed(self, bench: Bench) -> Steps[None]:
        """Each tombstone names the next, so that a logout can follow to the living end."""
        chain = [(yield from bench.live("ada"))]
        for _ in range(4):
            new = yield from bench.draft("ada")
            yield bench.store.succeed(chain[-1].id, 1, new)
            chain.append(new)
        here = yield bench.store.load(chain[0].id)
        for step in chain[1:]:
            assert here.successor == step.id
            here = yield bench.store.load(step.id)
        assert isinstance(here, Live)
