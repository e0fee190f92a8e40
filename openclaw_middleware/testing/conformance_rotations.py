"""Conformance: timed rotation of the secret - offer, promote, and what repeats of them do."""
# ruff: noqa: S101 - a conformance suite asserts

from __future__ import annotations

from dataclasses import replace

from ..core.contract import Ended, Live, Missing, Saved
from ..core.record import EndReason
from ..core.steps import Steps
from .conformance_bench import Bench, fact, new_write

OFFER, OTHER = b"\xaa" * 32, b"\xbb" * 32


class RotationConformance:
    """A record's secrets and generations."""

    @fact()
    def test_offer_keeps_everything_else(self, bench: Bench) -> Steps[None]:
        """An offered successor is stored; secret, generation, version, activity stay."""
        record = yield from bench.live("ada")
        yield from bench.tick()
        answer = yield bench.store.rotate(record.id, generation=0, next_hash=OFFER)
        assert isinstance(answer, Live)
        assert answer.record == replace(record, next_hash=OFFER)
        assert (yield bench.store.load(record.id)).record == answer.record

    @fact()
    def test_first_offer_stands(self, bench: Bench) -> Steps[None]:
        """A second offer changes nothing and answers the first: all requests agree on one."""
        record = yield from bench.live("ada")
        yield bench.store.rotate(record.id, generation=0, next_hash=OFFER)
        for repeat in (OTHER, OFFER):
            answer = yield bench.store.rotate(record.id, generation=0, next_hash=repeat)
            assert isinstance(answer, Live)
            assert answer.record == replace(record, next_hash=OFFER)
        assert (yield bench.store.load(record.id)).record.next_hash == OFFER

    @fact()
    def test_promotion_moves_the_secrets_along(self, bench: Bench) -> Steps[None]:
        """Promoting makes the offer the secret, the secret the previous one, and counts up."""
        record = yield from bench.live("ada")
        yield bench.store.rotate(record.id, generation=0, next_hash=OFFER)
        before = yield from bench.tick()
        answer = yield bench.store.rotate(record.id, generation=0)
        assert isinstance(answer, Live)
        assert answer.record == replace(
            record,
            generation=1,
            secret_hash=OFFER,
            previous_hash=record.secret_hash,
            next_hash=None,
            promoted_at=answer.record.promoted_at,
        )
        assert before <= answer.record.promoted_at <= answer.now
        assert (yield bench.store.load(record.id)).record == answer.record

    @fact()
    def test_promotion_without_an_offer_changes_nothing(self, bench: Bench) -> Steps[None]:
        """There is nothing to promote before an offer."""
        record = yield from bench.live("ada")
        answer = yield bench.store.rotate(record.id, generation=0)
        assert isinstance(answer, Live)
        assert answer.record == record
        assert (yield bench.store.load(record.id)).record == record

    @fact("write per request")
    def test_stale_generation_changes_nothing(self, bench: Bench) -> Steps[None]:
        """Repeats by requests that still hold the old secret answer the record as it is."""
        record = yield from bench.live("ada")
        yield bench.store.rotate(record.id, generation=0, next_hash=OFFER)
        yield bench.store.rotate(record.id, generation=0)
        promoted = (yield bench.store.load(record.id)).record
        for generation in (0, 2, 7):
            for next_hash in (None, OTHER):
                answer = yield bench.store.rotate(
                    record.id, generation=generation, next_hash=next_hash
                )
                assert isinstance(answer, Live)
                assert answer.record == promoted
        yield bench.store.rotate(record.id, generation=1, next_hash=OTHER)
        answer = yield bench.store.rotate(record.id, generation=0)
        assert answer.record == replace(promoted, next_hash=OTHER)

    @fact()
    def test_generations_follow_each_other(self, bench: Bench) -> Steps[None]:
        """Many rotations keep exactly the last two secrets."""
        record = yield from bench.live("ada")
        secrets = [record.secret_hash]
        for generation in range(5):
            secrets.append(bytes([generation]) * 32)
            yield bench.store.rotate(record.id, generation=generation, next_hash=secrets[-1])
            yield bench.store.rotate(record.id, generation=generation)
            found = (yield bench.store.load(record.id)).record
            assert found.generation == generation + 1
            assert [found.previous_hash, found.secret_hash] == secrets[-2:]
            assert found.next_hash is None

    @fact("lost update")
    def test_rotation_between_load_and_save_is_no_conflict(self, bench: Bench) -> Steps[None]:
        """A rotation neither disturbs another request's save nor is undone by it."""
        seen = yield from bench.live("ada")
        yield bench.store.rotate(seen.id, generation=0, next_hash=OFFER)
        saved = yield bench.store.save(replace(seen, payload=b"mine"), write_id=new_write())
        assert isinstance(saved, Saved)
        yield bench.store.rotate(seen.id, generation=0)
        found = (yield bench.store.load(seen.id)).record
        again = yield bench.store.save(replace(found, payload=b"more"), write_id=new_write())
        assert isinstance(again, Saved)
        found = (yield bench.store.load(seen.id)).record
        assert (found.secret_hash, found.generation, found.payload) == (OFFER, 1, b"more")

    @fact("resurrection", "client-chosen id")
    def test_rotation_never_creates_or_revives(self, bench: Bench) -> Steps[None]:
        """Rotating the unknown is Missing; rotating the ended answers why."""
        unknown = yield from bench.draft("ada")
        record = yield from bench.live("ada")
        yield bench.store.rotate(record.id, generation=0, next_hash=OFFER)
        yield bench.store.end(record.id, EndReason.THEFT)
        for next_hash in (OFFER, None):
            missing = yield bench.store.rotate(unknown.id, generation=0, next_hash=next_hash)
            assert isinstance(missing, Missing)
            ended = yield bench.store.rotate(record.id, generation=0, next_hash=next_hash)
            assert isinstance(ended, Ended)
            assert ended.reason is EndReason.THEFT
        assert isinstance((yield bench.store.load(unknown.id)), Missing)
        assert isinstance((yield bench.store.load(record.id)), Ended)
