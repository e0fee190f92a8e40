"""Conformance: fifty callers at once, in threads or tasks, over several stores of one engine.

What must hold here is exact, not probable: the tests count.
"""
# ruff: noqa: S101 - a conformance suite asserts

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
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
from ..core.record import EndReason
from ..core.steps import Steps
from ..errors import StoreUnavailable
from .conformance_bench import AnyStore, Bench, fact, new_write
from .faults import LostReplies, wrap

CALLERS = 50


def crowd(bench: Bench, body: Callable[[AnyStore, int], Steps[object]]) -> Steps[list[object]]:
    """The answers of fifty bodies run at once, spread over the stores of several workers."""
    stores = yield from bench.workers()
    bodies = (body(stores[number % len(stores)], number) for number in range(CALLERS))
    return (yield from bench.together(bodies))


def increment(store: AnyStore, session_id: str) -> Steps[None]:
    """Add one to the number in the payload, however often others are first."""
    record = (yield store.load(session_id)).record
    write_id = new_write()
    for _ in range(10_000):
        number = b"%d" % (int(record.payload) + 1)
        try:
            answer = yield store.save(replace(record, payload=number), write_id=write_id)
        except StoreUnavailable:  # the answer was lost: ask again, as the same write
            continue
        if isinstance(answer, Saved):
            return
        assert isinstance(answer, Conflict), answer
        record, write_id = answer.record, new_write()
    raise AssertionError("others, or lost answers, win without end")


class LoadConformance:
    """Real parallel load."""

    @fact("lost update", "wrong half of sync/async")
    def test_hundred_increments_make_a_hundred(self, bench: Bench) -> Steps[None]:
        """Fifty callers with two increments each, merging at conflicts: none is lost."""
        record = yield from bench.live("ada", payload=b"0")

        def twice(store: AnyStore, number: int) -> Steps[object]:
            yield from increment(store, record.id)
            yield from increment(store, record.id)
            return None

        yield from crowd(bench, twice)
        found = (yield bench.store.load(record.id)).record
        assert (int(found.payload), found.version) == (100, 101)

    @fact("lost update")
    def test_retries_after_lost_answers_count_once(self, bench: Bench) -> Steps[None]:
        """Each caller increments a record of its own, losing every other answer: exact counts."""
        records = yield from bench.lives(*["ada"] * CALLERS, payload=b"0")
        ids = [record.id for record in records]

        def lossy(store: AnyStore, number: int) -> Steps[object]:
            flaky = wrap(store, LostReplies("save", times=None, every=2))
            for _ in range(4):
                yield from increment(flaky, ids[number])
            return (yield store.load(ids[number]))

        for found in (yield from crowd(bench, lossy)):
            assert isinstance(found, Live)
            assert (int(found.record.payload), found.record.version) == (4, 5)

    @fact("lost update")
    def test_retries_among_other_writers_count_once(self, bench: Bench) -> Steps[None]:
        """Four callers a record, three increments each, every other answer lost: exactly 12.

        A store need not remember writes for ever, but a dozen it does.
        """
        records = yield from bench.lives(*["ada"] * 10, payload=b"0")
        stores = yield from bench.workers()

        def lossy(store: AnyStore, session_id: str) -> Steps[None]:
            flaky = wrap(store, LostReplies("save", times=None, every=2))
            for _ in range(3):
                yield from increment(flaky, session_id)

        yield from bench.together(
            lossy(stores[n % len(stores)], record.id) for record in records for n in range(4)
        )
        for record in records:
            found = (yield bench.store.load(record.id)).record
            assert (int(found.payload), found.version) == (12, 13)

    @fact("stale write-back", "lost update")
    def test_touches_do_not_disturb_saves(self, bench: Bench) -> Steps[None]:
        """Touches and rotations between increments lose none and cause no conflict of their own."""
        record = yield from bench.live("ada", payload=b"0")

        def mixed(store: AnyStore, number: int) -> Steps[object]:
            if number % 2:
                yield from increment(store, record.id)
            else:
                assert isinstance((yield store.touch(record.id)), Live)
                offer = bytes([number]) * 32
                rotated = yield store.rotate(record.id, generation=0, next_hash=offer)
                return rotated.record.next_hash
            return None

        offers = set((yield from crowd(bench, mixed))) - {None}
        found = (yield bench.store.load(record.id)).record
        assert (int(found.payload), found.version) == (25, 26)
        assert offers == {found.next_hash}

    @fact("old id survives")
    def test_promotions_at_once_count_one_generation(self, bench: Bench) -> Steps[None]:
        """Fifty requests present the offered secret at once: one generation later, not more."""
        record = yield from bench.live("ada")
        yield bench.store.rotate(record.id, generation=0, next_hash=b"n" * 32)

        def promote(store: AnyStore, number: int) -> Steps[object]:
            return (yield store.rotate(record.id, generation=0)).record.generation

        assert set((yield from crowd(bench, promote))) == {1}
        found = (yield bench.store.load(record.id)).record
        assert (found.secret_hash, found.previous_hash) == (b"n" * 32, record.secret_hash)

    @fact("client-chosen id")
    def test_creates_of_one_id_make_one(self, bench: Bench) -> Steps[None]:
        """Fifty creates under one id: one Saved, the rest Exists."""
        record = yield from bench.draft("ada")

        def create(store: AnyStore, number: int) -> Steps[object]:
            mine = replace(record, write_id=new_write(), payload=b"%d" % number)
            return (yield store.create(mine))

        answers = yield from crowd(bench, create)
        winners = [n for n, answer in enumerate(answers) if isinstance(answer, Saved)]
        assert len(winners) == 1
        assert sum(isinstance(answer, Exists) for answer in answers) == CALLERS - 1
        found = (yield bench.store.load(record.id)).record
        assert found.payload == b"%d" % winners[0]

    @pytest.mark.parametrize("verb", ["create", "succeed"])
    @fact()
    def test_limit_by_ending_holds_at_once(self, bench: Bench, verb: str) -> Steps[None]:
        """Fifty sign-ins with at most three sessions: all admitted, exactly three alive."""
        visitors = yield from bench.lives(*[None] * CALLERS if verb == "succeed" else [])
        drafts = yield from bench.drafts(CALLERS, "ada")

        def sign_in(store: AnyStore, number: int) -> Steps[object]:
            if verb == "create":
                return (yield store.create(drafts[number], limit=Limit(3)))
            old = visitors[number].id
            return (yield store.succeed(old, 1, drafts[number], limit=Limit(3)))

        answers = yield from crowd(bench, sign_in)
        assert all(isinstance(answer, Saved) for answer in answers), answers
        alive = yield from bench.census(draft.id for draft in drafts)
        assert len(alive) == 3
        assert {r.id for r in (yield from bench.listed("ada"))} == set(alive)
        ended = [i for answer in answers if isinstance(answer, Saved) for i in answer.ended]
        assert len(ended) == len(set(ended)) == CALLERS - 3
        assert (yield from bench.census(visitor.id for visitor in visitors)) == []

    @pytest.mark.parametrize("verb", ["create", "succeed"])
    @fact()
    def test_limit_by_refusing_holds_at_once(self, bench: Bench, verb: str) -> Steps[None]:
        """Fifty sign-ins with at most three sessions: exactly three admitted."""
        visitors = yield from bench.lives(*[None] * CALLERS if verb == "succeed" else [])
        drafts = yield from bench.drafts(CALLERS, "ada")
        limit = Limit(3, "reject")

        def sign_in(store: AnyStore, number: int) -> Steps[object]:
            if verb == "create":
                return (yield store.create(drafts[number], limit=limit))
            return (yield store.succeed(visitors[number].id, 1, drafts[number], limit=limit))

        answers = yield from crowd(bench, sign_in)
        assert sum(isinstance(answer, Saved) for answer in answers) == 3
        assert sum(isinstance(answer, LimitReached) for answer in answers) == CALLERS - 3
        alive = yield from bench.census(draft.id for draft in drafts)
        assert {r.id for r in (yield from bench.listed("ada"))} == set(alive)
        assert len(alive) == 3
        kept = yield from bench.census(visitor.id for visitor in visitors)
        assert len(kept) == (CALLERS - 3 if verb == "succeed" else 0)

    @fact("resurrection")
    def test_one_of_many_ends_is_fresh(self, bench: Bench) -> Steps[None]:
        """Fifty ends of one record: one did it, all know why."""
        record = yield from bench.live("ada")
        reasons = [EndReason.SIGNED_OUT, EndReason.REVOKED, EndReason.THEFT]

        def end(store: AnyStore, number: int) -> Steps[object]:
            return (yield store.end(record.id, reasons[number % 3]))

        answers = yield from crowd(bench, end)
        assert all(isinstance(answer, Ended) for answer in answers)
        fresh = [answer for answer in answers if isinstance(answer, Ended) and answer.fresh]
        assert len(fresh) == 1
        told = {answer.reason for answer in answers if isinstance(answer, Ended)}
        assert told == {fresh[0].reason}
        assert (yield bench.store.load(record.id)).reason is fresh[0].reason

    @pytest.mark.parametrize("user_id", [None, "ada"])
    @fact("old id survives")
    def test_one_of_many_successors_lives(self, bench: Bench, user_id: str | None) -> Steps[None]:
        """Fifty successions of one record: one Saved, one alive, the others know whom."""
        old = yield from bench.live(user_id)
        drafts = yield from bench.drafts(CALLERS, "ada")

        def succeed(store: AnyStore, number: int) -> Steps[object]:
            return (yield store.succeed(old.id, 1, drafts[number]))

        answers = yield from crowd(bench, succeed)
        winners = [drafts[n].id for n, a in enumerate(answers) if isinstance(a, Saved)]
        assert len(winners) == 1
        for answer in answers:
            assert isinstance(answer, Saved) or (
                isinstance(answer, Ended) and answer.successor == winners[0]
            ), answer
        assert (yield from bench.census([old.id, *(d.id for d in drafts)])) == winners

    @fact("resurrection")
    def test_nothing_saved_after_the_end_has_answered(self, bench: Bench) -> Steps[None]:
        """Savers, touchers and rotators keep on during a logout: it is ended for each of them."""
        record = yield from bench.live("ada", payload=b"0")

        def keep_on(store: AnyStore, number: int) -> Steps[object]:
            if number == 0:
                for _ in range(5):
                    yield store.load(record.id)
                return (yield store.end(record.id, EndReason.SIGNED_OUT))
            current, answer = record, None
            patience = time.monotonic() + 30
            for turn in itertools.count(number):
                assert time.monotonic() < patience, answer
                if turn % 3 == 0:
                    answer = yield store.touch(record.id)
                elif turn % 3 == 1:
                    answer = yield store.rotate(record.id, generation=0, next_hash=b"n" * 32)
                else:
                    answer = yield store.save(current, write_id=new_write())
                if isinstance(answer, Live | Conflict):
                    current = answer.record
                if isinstance(answer, Ended | Missing):
                    break
            return answer

        answers = yield from crowd(bench, keep_on)
        assert all(isinstance(answer, Ended) for answer in answers), answers
        assert {a.reason for a in answers if isinstance(a, Ended)} == {EndReason.SIGNED_OUT}
        assert isinstance((yield bench.store.load(record.id)), Ended)
        assert (yield from bench.listed("ada")) == []

    @pytest.mark.parametrize("verb", ["create", "succeed"])
    @fact("resurrection")
    def test_log_out_everywhere_during_sign_ins(self, bench: Bench, verb: str) -> Steps[None]:
        """Whoever is alive afterwards was checked after the boundary; no deadlock, no error."""
        visitors = yield from bench.lives(*[None] * CALLERS if verb == "succeed" else [])
        tag = bench.tag("ada")

        def request(store: AnyStore, number: int) -> Steps[object]:
            if number % 5 == 0:
                return (yield store.end_user(tag, EndReason.REVOKED))
            new = yield from bench.draft("ada")
            if verb == "create":
                return (yield store.create(new, limit=Limit(30))), new
            return (yield store.succeed(visitors[number].id, 1, new, limit=Limit(30))), new

        answers = yield from crowd(bench, request)
        last = yield bench.store.end_user(tag, EndReason.REVOKED, except_id="none.such")
        assert (yield from bench.listed("ada")) == []
        signed_in = [answer for answer in answers if isinstance(answer, tuple)]
        assert all(isinstance(answer, Saved | Superseded) for answer, _ in signed_in)
        assert (yield from bench.census(new.id for _, new in signed_in)) == []
        assert all(new.valid_from <= last.not_before for _, new in signed_in)

    @fact("resurrection")
    def test_the_living_are_above_the_boundary(self, bench: Bench) -> Steps[None]:
        """Right after parallel sign-ins and one end_user, each survivor was checked after it."""
        tag = bench.tag("ada")

        def request(store: AnyStore, number: int) -> Steps[object]:
            if number == CALLERS // 2:
                if bench.settable:
                    bench.clock.advance(0.5)
                return (yield store.end_user(tag, EndReason.REVOKED))
            if bench.settable:
                bench.clock.advance(0.001)
            new = yield from bench.draft("ada")
            return (yield store.create(new)), new

        answers = yield from crowd(bench, request)
        boundary = answers[CALLERS // 2].not_before  # type: ignore[attr-defined]  # a UserEnd
        for answer in answers:
            if isinstance(answer, tuple):
                saved, new = answer
                assert isinstance(saved, Saved | Superseded)
                found = yield bench.store.load(new.id)
                lives = isinstance(found, Live)
                assert lives == (new.valid_from > boundary), (new.valid_from, boundary, found)

    @fact("lost update", "resurrection")
    def test_everything_at_once_for_one_user(self, bench: Bench) -> Steps[None]:
        """All verbs on one user's sessions from everywhere: no deadlock, no error, one truth."""
        shared = yield from bench.lives(*["ada"] * 4, payload=b"0")

        def request(store: AnyStore, number: int) -> Steps[object]:
            mine = shared[number % len(shared)]
            new = yield from bench.draft("ada")
            steps: list[Callable[[], object]] = [
                lambda: store.create(new, limit=Limit(4)),
                lambda: store.touch(mine.id),
                lambda: store.save(mine, write_id=new_write()),
                lambda: store.succeed(new.id, 1, replace(new, id=new.id + "x"), limit=Limit(4)),
                lambda: store.sessions_of(mine.tag, count=2),
                lambda: store.end(mine.id, EndReason.SIGNED_OUT),
                lambda: store.purge_expired(10),
                lambda: store.end_user(mine.tag, EndReason.REVOKED, except_id=new.id + "x"),
                lambda: store.stats(),
            ]
            for turn in range(len(steps)):
                yield steps[(turn * 7 + number) % len(steps)]()
            return [new.id, new.id + "x"]

        ids: list[str] = []
        for made in (yield from crowd(bench, request)):
            assert isinstance(made, list)
            ids += made
        alive = yield from bench.census([*(record.id for record in shared), *ids])
        assert sorted(alive) == sorted(r.id for r in (yield from bench.listed("ada")))
        assert len(alive) <= 4
