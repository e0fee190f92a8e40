"""Conformance: save is a compare-and-set that never creates; touch carries no payload.

The two deadlines that every verb compares are in `conformance_deadlines`.
"""
# ruff: noqa: S101 - a conformance suite asserts

from __future__ import annotations

import math
from dataclasses import replace

from ..core.contract import Conflict, Ended, Live, Missing, Saved
from ..core.record import EndReason
from ..core.steps import Steps
from .conformance_bench import Bench, fact, new_write


class SaveConformance:
    """Writing a payload, and starting the idle clock anew."""

    @fact()
    def test_save_answers_the_new_version(self, bench: Bench) -> Steps[None]:
        """Each save counts the version up by one and keeps its write id."""
        record = yield from bench.live("ada")
        for version in range(2, 6):
            write_id = new_write()
            saved = yield bench.store.save(
                replace(record, payload=b"v%d" % version), write_id=write_id
            )
            assert isinstance(saved, Saved)
            assert (saved.version, saved.ended) == (version, ())
            record = (yield bench.store.load(record.id)).record
            assert (record.version, record.write_id) == (version, write_id)
            assert record.payload == b"v%d" % version

    @fact("lost update")
    def test_save_of_an_old_version_is_a_conflict(self, bench: Bench) -> Steps[None]:
        """A save that is not based on the current version answers the current record."""
        seen = yield from bench.live("ada")
        yield bench.store.save(replace(seen, payload=b"first"), write_id=new_write())
        current = (yield bench.store.load(seen.id)).record
        answer = yield bench.store.save(replace(seen, payload=b"second"), write_id=new_write())
        assert isinstance(answer, Conflict)
        assert answer.record == current
        assert (yield bench.store.load(seen.id)).record == current

    @fact("lost update")
    def test_save_of_a_future_version_is_a_conflict(self, bench: Bench) -> Steps[None]:
        """A version the store has not reached (it went back) does not match either."""
        record = yield from bench.live("ada")
        ahead = replace(record, version=7, payload=b"ahead")
        assert isinstance((yield bench.store.save(ahead, write_id=new_write())), Conflict)
        assert (yield bench.store.load(record.id)).record == record

    @fact("lost update")
    def test_save_repeated_with_its_write_id_is_saved(self, bench: Bench) -> Steps[None]:
        """A retry whose first answer was lost recognises its own write, and writes nothing."""
        seen = yield from bench.live("ada")
        write_id = new_write()
        mine = replace(seen, payload=b"mine")
        first = yield bench.store.save(mine, write_id=write_id)
        current = (yield bench.store.load(seen.id)).record
        again = yield bench.store.save(mine, write_id=write_id)
        assert isinstance(again, Saved)
        assert again.version == first.version == 2
        assert (yield bench.store.load(seen.id)).record == current

    @fact("lost update")
    def test_save_repeated_behind_a_hundred_others_is_saved(self, bench: Bench) -> Steps[None]:
        """Its caller waited before the retry, while the session was busy."""
        seen = yield from bench.live("ada")
        write_id = new_write()
        mine = replace(seen, payload=b"mine")
        current = replace(mine, version=(yield bench.store.save(mine, write_id=write_id)).version)
        for _ in range(100):
            saved = yield bench.store.save(current, write_id=new_write())
            current = replace(current, version=saved.version)
        again = yield bench.store.save(mine, write_id=write_id)
        assert isinstance(again, Saved)
        assert again.version == 2
        assert (yield bench.store.load(seen.id)).record.version == 102
        assert isinstance((yield bench.store.save(mine, write_id=new_write())), Conflict)

    @fact("resurrection", "client-chosen id")
    def test_save_never_creates(self, bench: Bench) -> Steps[None]:
        """Saving what was never stored is Missing, and leaves nothing."""
        for user_id in (None, "ada"):
            record = yield from bench.draft(user_id)
            assert isinstance((yield bench.store.save(record, write_id=new_write())), Missing)
            same = yield bench.store.save(record, write_id=record.write_id)
            assert isinstance(same, Missing)
            assert isinstance((yield bench.store.load(record.id)), Missing)
        assert (yield from bench.listed("ada")) == []

    @fact("resurrection")
    def test_save_of_an_ended_record_answers_why(self, bench: Bench) -> Steps[None]:
        """A save after the end answers Ended with the reason and revives nothing."""
        for reason in (EndReason.SIGNED_OUT, EndReason.REVOKED, EndReason.THEFT):
            record = yield from bench.live("ada")
            yield bench.store.end(record.id, reason)
            for write_id in (new_write(), record.write_id):
                answer = yield bench.store.save(record, write_id=write_id)
                assert isinstance(answer, Ended)
                assert (answer.id, answer.reason, answer.fresh) == (record.id, reason, False)
            assert isinstance((yield bench.store.load(record.id)), Ended)
        assert (yield from bench.listed("ada")) == []

    @fact()
    def test_save_changes_payload_policy_and_limits_alone(self, bench: Bench) -> Steps[None]:
        """Identity, secrets, generations and times of a record cannot be written by a save."""
        record = yield from bench.live("ada", next_hash=b"\x07" * 32)
        forged = replace(
            record,
            payload=b"new",
            policy="remember",
            idle_timeout=77.25,
            absolute_timeout=7777.5,
            user_id="mallory",
            secret_hash=b"\x01" * 32,
            created_at=record.created_at - 5,
            authenticated_at=record.created_at + 5,
            valid_from=record.valid_from + 5,
            last_active_at=record.last_active_at + 5,
            generation=9,
            next_hash=None,
            previous_hash=b"\x03" * 32,
            promoted_at=record.promoted_at + 5,
            write_id="ignored",
        )
        write_id = new_write()
        assert isinstance((yield bench.store.save(forged, write_id=write_id)), Saved)
        found = (yield bench.store.load(record.id)).record
        assert found == replace(
            record,
            payload=b"new",
            policy="remember",
            idle_timeout=77.25,
            absolute_timeout=7777.5,
            version=2,
            write_id=write_id,
            last_active_at=found.last_active_at,
        )

    @fact()
    def test_active_save_starts_the_idle_clock_anew(self, bench: Bench) -> Steps[None]:
        """A save by an active request makes the store's now the last activity."""
        record = yield from bench.live("ada")
        before = yield from bench.tick()
        yield bench.store.save(record, write_id=new_write())
        after = yield bench.store.now()
        assert before <= (yield bench.store.load(record.id)).record.last_active_at <= after

    @fact()
    def test_passive_save_leaves_the_idle_clock(self, bench: Bench) -> Steps[None]:
        """A save that is not activity keeps the last activity."""
        record = yield from bench.live("ada")
        yield from bench.tick()
        saved = yield bench.store.save(
            replace(record, payload=b"job"), write_id=new_write(), active=False
        )
        assert isinstance(saved, Saved)
        found = (yield bench.store.load(record.id)).record
        assert found.payload == b"job"
        assert found.last_active_at == record.last_active_at

    @fact()
    def test_deadline_follows_saved_limits(self, bench: Bench) -> Steps[None]:
        """Limits written by a save hold from then on, shorter ones too."""
        record = yield from bench.live("ada", idle_timeout=5.0, absolute_timeout=5.0)
        longer = replace(record, idle_timeout=600.0, absolute_timeout=9000.0)
        yield bench.store.save(longer, write_id=new_write(), active=False)
        found = (yield bench.store.load(record.id)).record
        assert found.deadline == record.last_active_at + 600.0
        now = yield from bench.tick()
        shorter = replace(found, absolute_timeout=round((now - found.created_at) / 2, 6))
        yield bench.store.save(shorter, write_id=new_write())
        ended = yield bench.store.load(record.id)
        assert isinstance(ended, Ended)
        assert ended.reason is EndReason.ABSOLUTE

    @fact("stale write-back")
    def test_touch_moves_the_last_activity_alone(self, bench: Bench) -> Steps[None]:
        """A touch changes neither payload nor version nor write id, and answers the record."""
        record = yield from bench.live("ada", payload=b"kept")
        before = yield from bench.tick()
        touched = yield bench.store.touch(record.id)
        assert isinstance(touched, Live)
        assert before <= touched.record.last_active_at <= touched.now
        moved = replace(record, last_active_at=touched.record.last_active_at)
        assert touched.record == moved
        assert (yield bench.store.load(record.id)).record == moved

    @fact("stale write-back")
    def test_touch_of_an_earlier_activity(self, bench: Bench) -> Steps[None]:
        """The idle clock starts at the activity told of, and never goes back."""
        record = yield from bench.live("ada")
        yield from bench.until(round(record.last_active_at + 0.2, 6))
        early = yield bench.store.touch(record.id, ago=3600.0)
        assert early.record == record
        told = yield bench.store.touch(record.id, ago=0.05)
        assert record.last_active_at < told.record.last_active_at <= told.now - 0.04
        again = yield bench.store.touch(record.id, ago=3600.0)
        assert again.record == told.record == (yield bench.store.load(record.id)).record

    @fact("lost update", "stale write-back")
    def test_touch_between_load_and_save_is_no_conflict(self, bench: Bench) -> Steps[None]:
        """Touching never makes another request's save fail, nor undoes it."""
        seen = yield from bench.live("ada")
        yield bench.store.touch(seen.id)
        saved = yield bench.store.save(replace(seen, payload=b"mine"), write_id=new_write())
        assert isinstance(saved, Saved)
        yield bench.store.touch(seen.id)
        found = (yield bench.store.load(seen.id)).record
        assert (found.payload, found.version) == (b"mine", 2)

    @fact("resurrection", "client-chosen id")
    def test_touch_never_creates_or_revives(self, bench: Bench) -> Steps[None]:
        """Touching the unknown is Missing; touching the ended answers why and stays ended."""
        unknown = yield from bench.draft("ada")
        assert isinstance((yield bench.store.touch(unknown.id)), Missing)
        assert isinstance((yield bench.store.load(unknown.id)), Missing)
        record = yield from bench.live("ada")
        yield bench.store.end(record.id, EndReason.SIGNED_OUT)
        touched = yield bench.store.touch(record.id)
        assert isinstance(touched, Ended)
        assert touched.reason is EndReason.SIGNED_OUT
        assert isinstance((yield bench.store.load(record.id)), Ended)

    @fact()
    def test_a_further_deadline_bounds_touch_and_save(self, bench: Bench) -> Steps[None]:
        """Past `not_after` nothing is written; before it, and at infinity, it changes nothing."""
        record = yield from bench.live("ada")
        now = yield from bench.tick()
        for not_after in (now, now - 1000, 0.0):
            touched = yield bench.store.touch(record.id, not_after=not_after)
            assert isinstance(touched, Ended), not_after
            saved = yield bench.store.save(
                replace(record, payload=b"late"), write_id=new_write(), not_after=not_after
            )
            assert isinstance(saved, Ended), not_after
            assert {touched.reason, saved.reason} <= {EndReason.IDLE, EndReason.ABSOLUTE}
            assert (yield bench.store.load(record.id)).record == record
        for not_after in (now + 1000, 1e12, math.inf):
            assert isinstance((yield bench.store.touch(record.id, not_after=not_after)), Live)
        saved = yield bench.store.save(record, write_id=new_write(), not_after=now + 1000)
        assert isinstance(saved, Saved)
