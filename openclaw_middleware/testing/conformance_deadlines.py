"""Conformance: both clocks are compared by every verb, whatever the engine removes or keeps.

Records are made with deadlines in the past; none of the tests sleeps.
"""
# ruff: noqa: S101 - a conformance suite asserts

from __future__ import annotations

from dataclasses import replace

import pytest

from ..core.contract import Ended, Live, Missing, Saved
from ..core.record import EndReason, Record
from ..core.steps import Steps
from .conformance_bench import BRIEF, Bench, fact, new_write


class DeadlineConformance:
    """Idle and absolute limits."""

    @fact("expiry left to the engine", "resurrection")
    def test_absolute_deadline_is_compared_by_every_verb(self, bench: Bench) -> Steps[None]:
        """A record past its absolute deadline is Ended for each verb and never comes back."""
        for user_id in (None, "ada"):
            record = yield from bench.expired(user_id)
            yield from self._dead_everywhere(bench, record, EndReason.ABSOLUTE)
        assert (yield from bench.listed("ada")) == []

    @fact("expiry left to the engine", "resurrection")
    def test_idle_deadline_is_compared_by_every_verb(self, bench: Bench) -> Steps[None]:
        """A record past its idle deadline is Ended for each verb and never comes back."""
        for user_id in (None, "ada"):
            record = yield from bench.idle(user_id)
            yield from self._dead_everywhere(bench, record, EndReason.IDLE)
        assert (yield from bench.listed("ada")) == []

    def _dead_everywhere(self, bench: Bench, record: Record, reason: EndReason) -> Steps[None]:
        store = bench.store
        new = yield from bench.draft(record.user_id)
        answers = [
            (yield store.load(record.id)),
            (yield store.touch(record.id)),
            (yield store.save(record, write_id=new_write())),
            (yield store.save(record, write_id=record.write_id)),
            (yield store.rotate(record.id, generation=0, next_hash=b"n" * 32)),
            (yield store.rotate(record.id, generation=0)),
            (yield store.succeed(record.id, 1, new)),
            (yield store.end(record.id, EndReason.SIGNED_OUT)),
            (yield store.load(record.id)),
        ]
        for answer in answers:
            assert isinstance(answer, Ended), answer
            assert (answer.id, answer.reason, answer.fresh) == (record.id, reason, False)
            assert answer.user_id == record.user_id
            assert answer.ended_at <= answer.now
        assert isinstance((yield store.load(new.id)), Missing)

    @fact()
    def test_expired_record_names_its_deadline(self, bench: Bench) -> Steps[None]:
        """The end of an expired record is its deadline, not the moment somebody looked."""
        record = yield from bench.expired("ada")
        assert (yield bench.store.load(record.id)).ended_at == pytest.approx(
            record.absolute_deadline, abs=1e-5
        )
        idle = yield from bench.idle("ada")
        ended = yield bench.store.load(idle.id)
        assert ended.ended_at < ended.now
        assert ended.ended_at == pytest.approx(idle.last_active_at + BRIEF, abs=1)

    @fact()
    def test_absolute_comes_before_idle_as_a_reason(self, bench: Bench) -> Steps[None]:
        """When both clocks have run out the reason is the one no activity could have moved."""
        now = yield bench.store.now()
        record = yield from bench.draft(
            "ada", authenticated_at=round(now - 100, 6), absolute_timeout=90.0, idle_timeout=BRIEF
        )
        saved = yield bench.store.create(record)
        yield from bench.until(saved.now + 2 * BRIEF)
        assert (yield bench.store.load(record.id)).reason is EndReason.ABSOLUTE

    @fact()
    def test_absolute_limit_counts_from_the_sign_in(self, bench: Bench) -> Steps[None]:
        """A record created long ago and signed in now lives; the other way round it is dead."""
        now = yield bench.store.now()
        old = round(now - 5000, 6)
        alive = yield from bench.live("ada", created_at=old, absolute_timeout=1000.0)
        assert alive.absolute_deadline > now
        dead = yield from bench.draft("ada", authenticated_at=old, absolute_timeout=4990.0)
        yield bench.store.create(dead)
        assert (yield bench.store.load(dead.id)).reason is EndReason.ABSOLUTE
        anonymous = yield from bench.draft(created_at=old, absolute_timeout=4990.0)
        yield bench.store.create(anonymous)
        assert (yield bench.store.load(anonymous.id)).reason is EndReason.ABSOLUTE

    @fact("expiry left to the engine")
    def test_deadline_itself_belongs_to_the_dead_side(self, bench: Bench) -> Steps[None]:
        """At the very deadline a session is over; a microsecond before, it lives."""
        for limits in (
            {"idle_timeout": 60.0},
            {"idle_timeout": 1800.0, "absolute_timeout": 60.0},
        ):
            record = yield from bench.live("ada", **limits)
            # An engine's own clock cannot be stopped at an instant.
            if not bench.settable:
                return
            bench.clock.set(record.deadline - 1e-6)
            assert isinstance((yield bench.store.load(record.id)), Live)
            assert [r.id for r in (yield from bench.listed("ada"))] == [record.id]
            bench.clock.set(record.deadline)
            yield from self._dead_everywhere(
                bench,
                record,
                EndReason.IDLE if len(limits) == 1 else EndReason.ABSOLUTE,
            )
            assert (yield from bench.listed("ada")) == []

    @fact("write per request")
    def test_touching_keeps_a_session_up_to_the_absolute_limit(self, bench: Bench) -> Steps[None]:
        """Touches carry a session over many idle limits, and not over the absolute one."""
        idle, absolute = (60.0, 600.0) if bench.settable else (0.4, 1.2)
        record = yield from bench.live("ada", idle_timeout=idle, absolute_timeout=absolute)
        now = record.created_at
        while now + idle / 4 < record.absolute_deadline:
            now = yield from bench.until(now + idle / 4)
            touched = yield bench.store.touch(record.id)
            if isinstance(touched, Ended):
                break
            assert touched.record.absolute_deadline == record.absolute_deadline
        yield from bench.until(record.absolute_deadline)
        ended = yield bench.store.touch(record.id)
        assert isinstance(ended, Ended)
        assert ended.reason is EndReason.ABSOLUTE
        assert ended.now >= record.absolute_deadline

    @fact("expiry left to the engine")
    def test_saving_actively_extends_and_passively_does_not(self, bench: Bench) -> Steps[None]:
        """The idle deadline moves with an active save and stands under a passive one."""
        record = yield from bench.live("ada", idle_timeout=120.0)
        yield from bench.tick()
        yield bench.store.save(record, write_id=new_write(), active=False)
        passive = (yield bench.store.load(record.id)).record
        assert passive.idle_deadline == record.idle_deadline
        saved = yield bench.store.save(passive, write_id=new_write())
        assert isinstance(saved, Saved)
        active = (yield bench.store.load(record.id)).record
        assert active.idle_deadline > record.idle_deadline
        assert active.absolute_deadline == record.absolute_deadline

    @fact("expiry left to the engine")
    def test_long_limits_are_kept(self, bench: Bench) -> Steps[None]:
        """Ninety days, and ten years, are stored as they are, not cut to what an engine likes."""
        for days in (31.0, 90.0, 3650.0):
            seconds = days * 86400
            record = yield from bench.live(
                "ada", idle_timeout=seconds, absolute_timeout=seconds, policy="remember"
            )
            assert (record.idle_timeout, record.absolute_timeout) == (seconds, seconds)
            if bench.settable:
                bench.clock.advance(seconds - 60)
                assert isinstance((yield bench.store.load(record.id)), Live)

    @fact("expiry left to the engine")
    def test_expired_record_is_remembered_for_the_retention(self, bench: Bench) -> Steps[None]:
        """The reason of an expiry is known past the deadline, purging in between or not."""
        record = yield from bench.expired("ada", ago=1800.0)
        yield bench.store.purge_expired()
        ended = yield bench.store.load(record.id)
        assert isinstance(ended, Ended)
        assert ended.reason is EndReason.ABSOLUTE

    @fact("expiry left to the engine")
    def test_expired_save_writes_nothing(self, bench: Bench) -> Steps[None]:
        """Raising the limits of a dead record does not bring it back."""
        record = yield from bench.expired("ada")
        longer = replace(record, idle_timeout=1e6, absolute_timeout=1e6)
        assert isinstance((yield bench.store.save(longer, write_id=new_write())), Ended)
        assert (yield bench.store.load(record.id)).reason is EndReason.ABSOLUTE
