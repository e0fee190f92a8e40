"""Conformance: log out everywhere by not-before, and listing a user's sessions.

The limit of sessions per user is in `conformance_limits`.
"""
# ruff: noqa: S101 - a conformance suite asserts

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ..core.contract import Conflict, Ended, Live, Missing, Saved, Superseded, UserEnd
from ..core.record import EndReason
from ..core.steps import Steps
from .conformance_bench import Bench, fact, new_write

EraseIndex = Callable[[Any, str], Steps[None]]


class UserConformance:
    """Everything that concerns all sessions of a user."""

    @fact("resurrection")
    def test_end_user_ends_every_session(self, bench: Bench) -> Steps[None]:
        """All of the user's sessions are Ended with the reason, for every verb."""
        records = yield from bench.lives(*["ada"] * 5)
        ended = yield bench.store.end_user(bench.tag("ada"), EndReason.THEFT)
        assert isinstance(ended, UserEnd)
        assert ended.ended == 5
        for record in records:
            new = yield from bench.draft("ada")
            for answer in (
                (yield bench.store.load(record.id)),
                (yield bench.store.save(record, write_id=new_write())),
                (yield bench.store.save(record, write_id=record.write_id)),
                (yield bench.store.touch(record.id)),
                (yield bench.store.rotate(record.id, generation=0, next_hash=b"n" * 32)),
                (yield bench.store.succeed(record.id, 1, new)),
                (yield bench.store.end(record.id, EndReason.SIGNED_OUT)),
                (yield bench.store.load(record.id)),
            ):
                assert isinstance(answer, Ended), answer
                assert (answer.id, answer.reason) == (record.id, EndReason.THEFT)
                assert (answer.user_id, answer.fresh) == ("ada", False)
            assert isinstance((yield bench.store.load(new.id)), Missing)
        assert (yield from bench.listed("ada")) == []

    @fact()
    def test_not_before_is_the_stores_now(self, bench: Bench) -> Steps[None]:
        """The boundary is the moment of the call, and never earlier than an earlier one."""
        last = 0.0
        for _ in range(20):
            before = yield bench.store.now()
            answer = yield bench.store.end_user(bench.tag("ada"), EndReason.REVOKED)
            assert before <= answer.not_before
            assert answer.not_before <= (yield bench.store.now()) + 0.001
            assert answer.not_before >= last
            last = answer.not_before

    @fact("naive or local clocks")
    def test_not_before_never_moves_back(self, bench: Bench) -> Steps[None]:
        """A clock that is set back does not let anybody in again."""
        late = yield from bench.draft("ada")
        first = yield bench.store.end_user(bench.tag("ada"), EndReason.REVOKED)
        if bench.settable:
            bench.clock.advance(-3600)
        second = yield bench.store.end_user(bench.tag("ada"), EndReason.REVOKED)
        assert second.not_before >= first.not_before
        assert isinstance((yield bench.store.create(late)), Superseded)

    @fact()
    def test_end_user_tells_whether_it_ended_the_callers_own(self, bench: Bench) -> Steps[None]:
        """Only a live session of that user, and only the first time."""
        own, ended = yield from bench.lives("ada", "ada")
        theirs, kept = yield from bench.lives("bob", "bob")
        unknown = yield from bench.draft("ada")
        yield bench.store.end(ended.id, EndReason.SIGNED_OUT)

        def told(tag: str, own_id: str | None, except_id: str | None = None) -> Steps[bool]:
            answer = yield bench.store.end_user(
                tag, EndReason.SIGNED_OUT, except_id=except_id, own_id=own_id
            )
            return bool(answer.own)

        assert not (yield from told(kept.tag, kept.id, kept.id))
        for other in (ended.id, unknown.id, theirs.id, "", "no id", own.tag):
            yield from bench.tick()
            mine = yield from bench.live("carol")
            assert not (yield from told(mine.tag, other)), other
        assert (yield from told(own.tag, own.id))
        assert not (yield from told(own.tag, own.id))
        assert not (yield from told(own.tag, None))

    @fact("resurrection", "naive or local clocks")
    def test_end_user_reaches_sessions_of_a_clock_since_put_back(self, bench: Bench) -> Steps[None]:
        """Made while the clock was ahead, they are ended all the same; a later sign-in lives."""
        made = yield from bench.lives("ada", "ada")
        if bench.settable:
            bench.clock.advance(-7200)
        ended = yield bench.store.end_user(bench.tag("ada"), EndReason.REVOKED)
        assert ended.ended == 2
        assert (yield from bench.census([record.id for record in made])) == []
        yield from bench.tick()
        later = yield from bench.live("ada")
        assert [record.id for record in (yield from bench.listed("ada"))] == [later.id]

    @fact("resurrection")
    def test_sign_in_checked_before_is_superseded(self, bench: Bench) -> Steps[None]:
        """At or before not-before a login is refused and leaves nothing; just after, it lives."""
        tag = bench.tag("ada")
        early = yield from bench.draft("ada")
        yield from bench.tick()
        ended = yield bench.store.end_user(tag, EndReason.REVOKED)
        assert ended.ended == 0
        exact = yield from bench.draft("ada", valid_from=ended.not_before)
        for refused in (early, exact):
            assert isinstance((yield bench.store.create(refused)), Superseded)
            assert isinstance((yield bench.store.load(refused.id)), Missing)
        after = round(ended.not_before + 2e-6, 6)
        yield from bench.until(after)
        lives = yield from bench.live("ada", valid_from=after)
        assert [r.id for r in (yield from bench.listed("ada"))] == [lives.id]

    @fact()
    def test_end_user_spares_other_users_and_visitors(self, bench: Bench) -> Steps[None]:
        """Other users' and anonymous records are not touched in any field."""
        yield from bench.live("ada")
        others = yield from bench.lives("bob", "Ada", "ada ", None)
        yield bench.store.end_user(bench.tag("ada"), EndReason.REVOKED)
        yield bench.store.end_user(bench.tag("nobody"), EndReason.REVOKED)
        yield bench.store.end_user("", EndReason.REVOKED)
        for other in others:
            assert (yield bench.store.load(other.id)).record == other
        assert (yield bench.store.sessions_of("")).records == ()

    @fact()
    def test_excepted_session_survives(self, bench: Bench) -> Steps[None]:
        """The excepted one lives on with all it had, its `valid_from` just over the boundary."""
        kept = yield from bench.live("ada", payload=b"kept")
        others = yield from bench.lives(*["ada"] * 3)
        yield from bench.tick()
        ended = yield bench.store.end_user(kept.tag, EndReason.REVOKED, except_id=kept.id)
        assert ended.ended == 3
        found = yield bench.store.load(kept.id)
        assert isinstance(found, Live)
        assert ended.not_before < found.record.valid_from <= ended.not_before + 0.001
        assert found.record == replace(kept, valid_from=found.record.valid_from)
        assert (yield from bench.census([r.id for r in others])) == []
        assert [r.id for r in (yield from bench.listed("ada"))] == [kept.id]
        # A request that had loaded it before neither fails nor undoes the exception.
        assert isinstance((yield bench.store.save(kept, write_id=new_write())), Saved)
        assert isinstance((yield bench.store.load(kept.id)), Live)

    @fact("resurrection")
    def test_excepted_session_can_be_ended_later(self, bench: Bench) -> Steps[None]:
        """Being spared once protects from no later end, at the next moment neither."""
        for reason in (EndReason.REVOKED, EndReason.THEFT):
            kept = yield from bench.live("ada")
            yield bench.store.end_user(kept.tag, EndReason.REVOKED, except_id=kept.id)
            assert isinstance((yield bench.store.load(kept.id)), Live)
            ended = yield bench.store.end_user(kept.tag, reason)
            assert ended.ended == 1
            found = yield bench.store.load(kept.id)
            assert isinstance(found, Ended)
            assert found.reason is reason
            yield from bench.tick()

    @fact("resurrection")
    def test_exception_revives_nobody(self, bench: Bench) -> Steps[None]:
        """Excepting a dead session of the user, or an unknown one, leaves it dead."""
        revoked = yield from bench.live("ada")
        yield bench.store.end_user(revoked.tag, EndReason.THEFT)
        yield from bench.tick()
        signed_out = yield from bench.live("ada")
        yield bench.store.end(signed_out.id, EndReason.SIGNED_OUT)
        expired = yield from bench.expired("bob")
        unknown = yield from bench.draft("ada")
        for dead in (revoked, signed_out, expired, unknown):
            before = yield bench.store.load(dead.id)
            yield bench.store.end_user(dead.tag, EndReason.REVOKED, except_id=dead.id)
            after = yield bench.store.load(dead.id)
            assert isinstance(after, Ended | Missing)
            assert type(after) is type(before)
            assert isinstance((yield bench.store.touch(dead.id)), Ended | Missing)

    @fact()
    def test_exception_is_the_users_own(self, bench: Bench) -> Steps[None]:
        """Excepting somebody else's session spares nobody and changes nothing of theirs."""
        mine = yield from bench.live("ada")
        theirs = yield from bench.live("bob")
        anonymous = yield from bench.live()
        for other in (theirs, anonymous):
            yield bench.store.end_user(mine.tag, EndReason.REVOKED, except_id=other.id)
            assert (yield bench.store.load(other.id)).record == other
        assert isinstance((yield bench.store.load(mine.id)), Ended)
        yield bench.store.end_user(theirs.tag, EndReason.REVOKED)
        assert isinstance((yield bench.store.load(theirs.id)), Ended)

    @fact("resurrection")
    def test_end_user_needs_no_index(
        self, bench: Bench, erase_index: EraseIndex | None
    ) -> Steps[None]:
        """With the user's index erased every session still ends, except the excepted one."""
        if erase_index is None:
            pytest.skip("the engine has no index to erase")
        kept = yield from bench.live("ada")
        others = yield from bench.lives(*["ada"] * 3)
        yield from erase_index(bench.store, kept.tag)
        yield bench.store.end_user(kept.tag, EndReason.REVOKED, except_id=kept.id)
        alive = yield from bench.census([record.id for record in [kept, *others]])
        assert alive == [kept.id]
        yield from erase_index(bench.store, kept.tag)
        yield bench.store.end_user(kept.tag, EndReason.REVOKED)
        assert (yield from bench.census([kept.id])) == []

    @fact()
    def test_count_of_ended_is_of_the_living(self, bench: Bench) -> Steps[None]:
        """Sessions that were over before are not counted as ended now."""
        yield from bench.expired("ada")
        gone = yield from bench.live("ada")
        yield bench.store.end(gone.id, EndReason.SIGNED_OUT)
        for _ in range(2):
            yield from bench.live("ada")
        tag = bench.tag("ada")
        assert (yield bench.store.end_user(tag, EndReason.REVOKED)).ended == 2
        yield from bench.tick()
        assert (yield bench.store.end_user(tag, EndReason.REVOKED)).ended == 0

    @fact("lost update")
    def test_end_user_repeated_is_harmless(self, bench: Bench) -> Steps[None]:
        """A retry after a lost answer ends the same sessions and spares the same one."""
        kept = yield from bench.live("ada")
        other = yield from bench.live("ada")
        for _ in range(3):
            yield bench.store.end_user(kept.tag, EndReason.REVOKED, except_id=kept.id)
            assert (yield from bench.census([kept.id, other.id])) == [kept.id]

    @fact()
    def test_listing_is_complete_over_pages(self, bench: Bench) -> Steps[None]:
        """Every page size gives each session exactly once, as `load` would."""
        records = {}
        for _ in range(23):
            record = yield from bench.live("ada")
            records[record.id] = record
        for count in (1, 4, 22, 23, 24, 100):
            listed = yield from bench.listed("ada", count)
            assert len(listed) == 23
            assert {record.id: record for record in listed} == records

    @fact()
    def test_listing_shows_the_living_of_one_user(self, bench: Bench) -> Steps[None]:
        """Ended, expired and others' sessions are absent, and nobody has none."""
        assert (yield from bench.listed("ada")) == []
        alive = {record.id for record in (yield from bench.lives(*["ada"] * 3))}
        gone = yield from bench.live("ada")
        yield bench.store.end(gone.id, EndReason.SIGNED_OUT)
        yield from bench.expired("ada")
        yield from bench.idle("ada")
        yield from bench.live("bob")
        yield from bench.live()
        for count in (1, 2, 100):
            listed = yield from bench.listed("ada", count)
            assert {record.id for record in listed} == alive
        assert (yield bench.store.sessions_of(bench.tag("ada"), count=2)).cursor is not None

    @fact()
    def test_listing_survives_changes_in_between(self, bench: Bench) -> Steps[None]:
        """What ends between two pages may be missing; what stays is not lost or repeated."""
        ids = {record.id for record in (yield from bench.lives(*["ada"] * 12))}
        page = yield bench.store.sessions_of(bench.tag("ada"), count=4)
        seen = [record.id for record in page.records]
        assert len(seen) == 4
        first, later = seen[0], min(ids - set(seen))
        yield bench.store.end(first, EndReason.REVOKED)
        yield bench.store.end(later, EndReason.REVOKED)
        while page.cursor is not None:
            page = yield bench.store.sessions_of(bench.tag("ada"), cursor=page.cursor, count=4)
            seen += [record.id for record in page.records]
        assert len(seen) == len(set(seen))
        assert set(seen) == ids - {later}

    @fact("lost update")
    def test_listed_record_can_be_saved(self, bench: Bench) -> Steps[None]:
        """A listed record carries its version: a save based on an older listing conflicts."""
        yield from bench.live("ada")
        (listed,) = yield from bench.listed("ada")
        assert isinstance((yield bench.store.save(listed, write_id=new_write())), Saved)
        assert isinstance((yield bench.store.save(listed, write_id=new_write())), Conflict)
