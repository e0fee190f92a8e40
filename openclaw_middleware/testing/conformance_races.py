"""Conformance: forced interleavings of two requests, and answers that get lost.

Each test plays two requests whose store calls alternate in a fixed order, so nothing here depends
on luck; real parallel load is in `conformance_load`.
"""
# ruff: noqa: S101 - a conformance suite asserts

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ..core.contract import Conflict, Ended, Limit, Live, Missing, Saved, Superseded
from ..core.record import EndReason, Record
from ..core.steps import Steps
from ..errors import StoreUnavailable
from .conformance_bench import Bench, fact, new_write
from .faults import Gate, LostReplies, wrap

ENDINGS = ["end", "end_user", "succeed", "limit", "expiry"]


def bring_to_an_end(bench: Bench, record: Record, how: str) -> Steps[None]:
    """What the other request does to the record."""
    if how == "end":
        yield bench.store.end(record.id, EndReason.SIGNED_OUT)
    elif how == "end_user":
        yield bench.store.end_user(record.tag, EndReason.REVOKED)
    elif how == "succeed":
        new = yield from bench.draft("ada")
        yield bench.store.succeed(record.id, record.version, new)
    elif how == "limit":
        yield from bench.tick()
        new = yield from bench.draft("ada")
        yield bench.store.create(new, limit=Limit(1))
    else:
        shorter = replace(record, absolute_timeout=1e-6)
        yield bench.store.save(shorter, write_id=new_write(), active=False)
        yield from bench.tick()


class RaceConformance:
    """A loads, B acts, A goes on."""

    @pytest.mark.parametrize("how", ENDINGS)
    @fact("resurrection", "old id survives")
    def test_slow_request_revives_nothing(self, bench: Bench, how: str) -> Steps[None]:
        """A loads, B ends the session, A saves, touches, rotates, succeeds: it stays ended."""
        a = yield from bench.live("ada", payload=b"before")
        yield from bring_to_an_end(bench, a, how)
        leftover = yield from bench.draft("ada")
        for answer in (
            (yield bench.store.save(replace(a, payload=b"late"), write_id=new_write())),
            (yield bench.store.touch(a.id)),
            (yield bench.store.rotate(a.id, generation=0, next_hash=b"n" * 32)),
            (yield bench.store.rotate(a.id, generation=0)),
            (yield bench.store.succeed(a.id, a.version, leftover)),
            (yield bench.store.load(a.id)),
        ):
            assert isinstance(answer, Ended), answer
        assert isinstance((yield bench.store.load(leftover.id)), Missing)
        assert a.id not in {record.id for record in (yield from bench.listed("ada"))}

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("verb", ["save", "touch", "rotate", "succeed"])
    @fact("resurrection")
    def test_logout_during_a_write_in_flight(
        self, bench: Bench, verb: str, when: str
    ) -> Steps[None]:
        """A's write is held while B's logout runs: whichever comes first, the session is over."""
        gate = Gate(verb, "before" if when == "before" else "after")
        slow = wrap(bench.store, gate)
        a = yield from bench.live("ada")
        new = yield from bench.draft("ada")
        calls: dict[str, Callable[[], Any]] = {
            "save": lambda: slow.save(replace(a, payload=b"late"), write_id=new_write()),
            "touch": lambda: slow.touch(a.id),
            "rotate": lambda: slow.rotate(a.id, generation=0, next_hash=b"n" * 32),
            "succeed": lambda: slow.succeed(a.id, a.version, new),
        }

        def request() -> Steps[object]:
            answer = yield calls[verb]()
            return answer

        def logout() -> Steps[object]:
            yield gate.reached()
            try:
                answer = yield bench.store.end(a.id, EndReason.SIGNED_OUT)
            finally:
                gate.open()
            return answer

        late, ended = yield from bench.together([request(), logout()])
        assert isinstance(ended, Ended)
        if when == "before":
            assert isinstance(late, Ended)
            assert ended.fresh
            assert late.reason is EndReason.SIGNED_OUT
        else:
            assert isinstance(late, Saved | Live)
            assert ended.fresh == (verb != "succeed")
        expected = [new.id] if (verb, when) == ("succeed", "after") else []
        assert (yield from bench.census([a.id, new.id])) == expected

    @fact("lost update")
    def test_second_of_two_savers_is_told(self, bench: Bench) -> Steps[None]:
        """A and B load, B saves, A saves: A gets B's record to merge with, and then succeeds."""
        a = yield from bench.live("ada", payload=b"")
        b = (yield bench.store.load(a.id)).record
        yield bench.store.save(replace(b, payload=b"b"), write_id=new_write())
        answer = yield bench.store.save(replace(a, payload=b"a"), write_id=new_write())
        assert isinstance(answer, Conflict)
        assert answer.record.payload == b"b"
        merged = replace(answer.record, payload=answer.record.payload + b"a")
        assert isinstance((yield bench.store.save(merged, write_id=new_write())), Saved)
        found = (yield bench.store.load(a.id)).record
        assert (found.payload, found.version) == (b"ba", 3)

    @fact("stale write-back")
    def test_reader_does_not_write_back(self, bench: Bench) -> Steps[None]:
        """A loads, B saves, A touches and rotates: B's payload and version stand."""
        a = yield from bench.live("ada", payload=b"old")
        yield bench.store.save(replace(a, payload=b"new"), write_id=new_write())
        yield bench.store.touch(a.id)
        yield bench.store.rotate(a.id, generation=0, next_hash=b"n" * 32)
        yield bench.store.rotate(a.id, generation=0)
        found = (yield bench.store.load(a.id)).record
        assert (found.payload, found.version) == (b"new", 2)

    @fact("old id survives", "lost update")
    def test_second_of_two_successors_loses(self, bench: Bench) -> Steps[None]:
        """A and B load, both succeed the record: the first wins, the second is told whom."""
        old = yield from bench.live("ada")
        first = yield from bench.draft("ada")
        second = yield from bench.draft("ada")
        assert isinstance((yield bench.store.succeed(old.id, 1, first)), Saved)
        answer = yield bench.store.succeed(old.id, 1, second)
        assert isinstance(answer, Ended)
        assert (answer.reason, answer.successor) == (EndReason.REPLACED, first.id)
        assert (yield from bench.census([old.id, first.id, second.id])) == [first.id]

    @fact("resurrection")
    def test_password_checked_before_log_out_everywhere(self, bench: Bench) -> Steps[None]:
        """A's password is checked, B logs the user out everywhere, A signs in: refused."""
        visitor = yield from bench.live()
        signed_in = yield from bench.draft("ada")
        created = yield from bench.draft("ada")
        yield bench.store.end_user(bench.tag("ada"), EndReason.REVOKED)
        assert isinstance((yield bench.store.create(created)), Superseded)
        assert isinstance((yield bench.store.succeed(visitor.id, 1, signed_in)), Superseded)
        assert (yield from bench.listed("ada")) == []
        assert (yield bench.store.load(visitor.id)).record == visitor

    @fact("resurrection")
    def test_log_out_everywhere_between_sign_in_and_first_use(self, bench: Bench) -> Steps[None]:
        """A signs in, B logs out everywhere, A's first request finds the session ended."""
        record = yield from bench.live("ada")
        yield bench.store.end_user(record.tag, EndReason.REVOKED)
        assert isinstance((yield bench.store.touch(record.id)), Ended)
        assert isinstance((yield bench.store.load(record.id)), Ended)

    @pytest.mark.parametrize(
        "verb", ["create", "save", "touch", "offer", "promote", "succeed", "end", "end_user"]
    )
    @fact("lost update", "resurrection")
    def test_lost_answer_is_made_good_by_a_retry(self, bench: Bench, verb: str) -> Steps[None]:
        """Performed, answer lost, asked again: the outcome is that of a single call."""
        operation = "rotate" if verb in ("offer", "promote") else verb
        flaky = wrap(bench.store, LostReplies(operation))
        record = yield from bench.live("ada")
        if verb == "promote":
            yield bench.store.rotate(record.id, generation=0, next_hash=b"n" * 32)
        new = yield from bench.draft("ada", payload=b"new")
        write_id = new_write()
        calls: dict[str, Callable[[], Any]] = {
            "create": lambda: flaky.create(new, limit=Limit(2)),
            "save": lambda: flaky.save(replace(record, payload=b"mine"), write_id=write_id),
            "touch": lambda: flaky.touch(record.id),
            "offer": lambda: flaky.rotate(record.id, generation=0, next_hash=b"n" * 32),
            "promote": lambda: flaky.rotate(record.id, generation=0),
            "succeed": lambda: flaky.succeed(record.id, 1, new, limit=Limit(1)),
            "end": lambda: flaky.end(record.id, EndReason.SIGNED_OUT),
            "end_user": lambda: flaky.end_user(record.tag, EndReason.REVOKED),
        }
        with pytest.raises(StoreUnavailable) as lost:
            yield calls[verb]()
        assert lost.value.disconnected
        answer = yield calls[verb]()
        old, made = (yield bench.store.load(record.id)), (yield bench.store.load(new.id))
        if verb in ("create", "save", "succeed"):
            assert isinstance(answer, Saved)
            assert answer.version == (2 if verb == "save" else 1)
        if verb in ("create", "succeed"):
            assert made.record.payload == b"new"
            assert isinstance(old, Live if verb == "create" else Ended)
        elif verb == "save":
            assert (old.record.payload, old.record.version) == (b"mine", 2)
        elif verb in ("touch", "offer", "promote"):
            assert answer.record == old.record
            assert old.record.generation == (verb == "promote")
            assert old.record.next_hash == (b"n" * 32 if verb == "offer" else None)
        else:
            assert isinstance(old, Ended)

    @fact("lost update")
    def test_late_retry_does_not_undo_a_newer_write(self, bench: Bench) -> Steps[None]:
        """A saves and loses the answer, B saves, A asks again: A's is known, B's stand."""
        flaky = wrap(bench.store, LostReplies("save"))
        a = yield from bench.live("ada", payload=b"")
        write_id = new_write()
        with pytest.raises(StoreUnavailable):
            yield flaky.save(replace(a, payload=b"a"), write_id=write_id)
        for _ in range(8):
            b = (yield bench.store.load(a.id)).record
            yield bench.store.save(replace(b, payload=b.payload + b"b"), write_id=new_write())
        answer = yield flaky.save(replace(a, payload=b"a"), write_id=write_id)
        assert isinstance(answer, Saved)
        assert answer.version == 2
        found = (yield bench.store.load(a.id)).record
        assert (found.payload, found.version) == (b"abbbbbbbb", 10)

    @fact("resurrection")
    def test_late_retries_after_the_end_revive_nothing(self, bench: Bench) -> Steps[None]:
        """A creates, saves and rotates with answers lost, B ends it, A asks again: ended."""
        record = yield from bench.draft("ada")
        flaky = wrap(bench.store, LostReplies(times=None))
        write_id = new_write()
        calls: list[Callable[[], Any]] = [
            lambda: flaky.create(record),
            lambda: flaky.save(record, write_id=write_id),
            lambda: flaky.touch(record.id),
            lambda: flaky.rotate(record.id, generation=0, next_hash=b"n" * 32),
            lambda: flaky.end(record.id, EndReason.SIGNED_OUT),
        ]
        for _ in range(2):
            for call in calls:
                with pytest.raises(StoreUnavailable):
                    yield call()
        ended = yield bench.store.load(record.id)
        assert isinstance(ended, Ended)
        assert ended.reason is EndReason.SIGNED_OUT
        assert (yield from bench.listed("ada")) == []
