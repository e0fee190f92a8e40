"""Conformance: what goes in comes out, nothing is overwritten, reading writes nothing.

Also identities the store never saw, and the store's own description of itself. Deadlines, races
and users have modules of their own.
"""
# ruff: noqa: S101 - a conformance suite asserts

from __future__ import annotations

import math
import time
from dataclasses import fields, replace

import pytest

from ..core.contract import (
    Capabilities,
    Ended,
    Exists,
    Live,
    Missing,
    RecordPage,
    Saved,
    StoreStats,
)
from ..core.record import EndReason, Record
from ..core.steps import Steps
from .conformance_bench import Bench, fact, new_write

USER_IDS = [
    "42",
    "ada@example.org",
    "Zoë Müller-Lüdenscheidt",
    "山田太郎",
    "👩🏽‍💻" * 20,
    "u" * 255,
    "é" * 255,
    "\U0001f511" * 255,
    "  spaced  ",
    "x'; DROP TABLE sessions; --",
    "a:b{c}*?[d]%_\\",
    "line\nbreak\ttab",
]
PICKLED = b"\x80\x04\x95\n\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s."
PAYLOADS = [b"", bytes(range(256)), b"\xff\xfe\x00" * 1000, PICKLED, b"x" * 2**20]
JUNK_IDS = [
    "",
    ".",
    "..",
    "x",
    "unknown.id",
    "k" * 100_000,
    "." + "k" * 100_000,
    "\x00",
    "tag\x00.id\x00",
    "\x7f\x80\xff",
    "é.ü",
    "\U0001f600.\U0001f600",
    "\ud800.\udfff",
    "' OR '1'='1",
    '"; DROP TABLE sessions; --',
    "%",
    "_._",
    "*",
    "?*[a-z]",
    "{tag}.id",
    "a:b:c",
    "a\r\nFLUSHALL\r\n.b",
    "../../etc/passwd",
    "1e309",
    " ",
]


def near_misses(session_id: str) -> list[str]:
    """Ids that a sloppy comparison takes for the given one."""
    return [
        session_id.swapcase(),
        session_id.upper(),
        session_id + " ",
        " " + session_id,
        session_id + "\x00",
        session_id + ".",
        "." + session_id.partition(".")[2],
        session_id[:-1],
        session_id.replace(".", "", 1),
    ]


class RecordConformance:
    """Creating, loading, unknown ids, and the store's account of itself."""

    @fact("unpickling")
    def test_payload_comes_back_byte_for_byte(self, bench: Bench) -> Steps[None]:
        """Payloads are opaque: empty, binary, pickled and large ones return unchanged."""
        for payload in PAYLOADS:
            record = yield from bench.live(payload=payload)
            assert record.payload == payload
            saved = yield bench.store.save(
                replace(record, payload=payload + b"\x00"), write_id=new_write()
            )
            assert isinstance(saved, Saved)
            assert (yield bench.store.load(record.id)).record.payload == payload + b"\x00"

    @fact()
    def test_every_field_comes_back_exact(self, bench: Bench) -> Steps[None]:
        """Each field of a record returns as given, bar the two times the store sets itself."""
        now = yield bench.store.now()
        sparse = yield from bench.draft()
        full = yield from bench.draft(
            "ada",
            secret_hash=bytes(range(32)),
            created_at=round(now - 1000.000001, 6),
            authenticated_at=round(now - 999.123457, 6),
            valid_from=round(now - 0.000003, 6),
            idle_timeout=1234.567891,
            absolute_timeout=7654321.000001,
            policy="custom:persistent",
            generation=3,
            next_hash=bytes(range(32, 64)),
            previous_hash=b"\x00" * 31 + b"\xff",
        )
        for record in (sparse, full):
            before = yield bench.store.now()
            saved = yield bench.store.create(record)
            after = yield bench.store.now()
            assert saved == Saved(1, saved.now)
            found = yield bench.store.load(record.id)
            assert isinstance(found, Live)
            given = replace(
                record,
                last_active_at=found.record.last_active_at,
                promoted_at=found.record.promoted_at,
            )
            for field in fields(Record):
                value = getattr(found.record, field.name)
                assert value == getattr(given, field.name), field.name
                assert type(value) is type(getattr(given, field.name)), field.name
            assert before <= found.record.last_active_at <= after
            assert before <= found.record.promoted_at <= after

    @fact()
    def test_user_ids_come_back_exact(self, bench: Bench) -> Steps[None]:
        """Unicode, emoji, 255 characters, blanks and quoting characters survive in a user id."""
        for user_id in USER_IDS:
            record = yield from bench.live(user_id)
            assert record.user_id == user_id
            ended = yield bench.store.end(record.id, EndReason.REVOKED, user_id=user_id)
            assert isinstance(ended, Ended)
            assert ended.fresh

    @fact("client-chosen id")
    def test_create_never_overwrites_a_record(self, bench: Bench) -> Steps[None]:
        """A second create under the same id answers Exists and leaves the first alone."""
        first = yield from bench.live("ada", payload=b"first")
        second = replace(first, write_id=new_write(), payload=b"second", secret_hash=b"\x01" * 32)
        assert isinstance((yield bench.store.create(second)), Exists)
        assert (yield bench.store.load(first.id)).record == first

    @fact("resurrection")
    def test_create_never_overwrites_a_tombstone(self, bench: Bench) -> Steps[None]:
        """An ended id cannot be created again, by its own write id neither."""
        first = yield from bench.live("ada")
        yield bench.store.end(first.id, EndReason.SIGNED_OUT)
        for write_id in (new_write(), first.write_id):
            again = replace(first, write_id=write_id)
            assert isinstance((yield bench.store.create(again)), Exists)
            assert isinstance((yield bench.store.load(first.id)), Ended)

    @fact("resurrection")
    def test_create_never_overwrites_an_expired_record(self, bench: Bench) -> Steps[None]:
        """An id whose record ran out cannot be created again."""
        old = yield from bench.expired("ada")
        fresh = yield from bench.draft("ada", id=old.id)
        assert isinstance((yield bench.store.create(fresh)), Exists)
        assert isinstance((yield bench.store.load(old.id)), Ended)

    @fact()
    def test_create_repeated_with_its_write_id_is_saved(self, bench: Bench) -> Steps[None]:
        """A retry of a create recognises its own success and changes nothing."""
        record = yield from bench.live("ada")
        yield from bench.tick()
        assert isinstance((yield bench.store.create(record)), Saved)
        assert (yield bench.store.load(record.id)).record == record

    @fact("stale write-back", "write per request")
    def test_load_never_writes(self, bench: Bench) -> Steps[None]:
        """A hundred loads leave version, last activity, deadlines and write id as they were."""
        record = yield from bench.live("ada")
        for _ in range(100):
            if bench.settable:
                bench.clock.advance(1)
            found = yield bench.store.load(record.id)
            assert isinstance(found, Live)
            assert found.record == record
        saved = yield bench.store.save(record, write_id=new_write())
        assert isinstance(saved, Saved)
        assert saved.version == 2

    @fact("record per visit", "client-chosen id")
    def test_junk_ids_are_missing_for_every_verb(self, bench: Bench) -> Steps[None]:
        """Malformed ids are values, never exceptions, and no verb adopts one."""
        real = yield from bench.live("ada")
        for junk in JUNK_IDS + near_misses(real.id):
            yield from self._missing_everywhere(bench, real, junk)
        assert (yield bench.store.load(real.id)).record == real
        assert [r.id for r in (yield from bench.listed("ada"))] == [real.id]

    def _missing_everywhere(self, bench: Bench, real: Record, junk: str) -> Steps[None]:
        store = bench.store
        stray = replace(real, id=junk)
        for version in (1, 0):
            saved = yield store.save(replace(stray, version=version), write_id=new_write())
            assert isinstance(saved, Missing), (junk, saved)
        new = yield from bench.draft("ada")
        answers = [
            (yield store.touch(junk)),
            (yield store.rotate(junk, generation=0, next_hash=b"n" * 32)),
            (yield store.rotate(junk, generation=0)),
            (yield store.succeed(junk, 1, new)),
            (yield store.end(junk, EndReason.REVOKED)),
            (yield store.end(junk, EndReason.REVOKED, user_id="ada")),
            (yield store.load(junk)),
            (yield store.load(new.id)),
        ]
        assert all(isinstance(answer, Missing) for answer in answers), (junk, answers)

    @fact("record per visit")
    def test_junk_tags_and_cursors_list_nothing_of_others(self, bench: Bench) -> Steps[None]:
        """Listing by a malformed shard, or from a malformed cursor, is a page, not an exception."""
        real = yield from bench.live("ada")
        for junk in [*JUNK_IDS, real.tag.swapcase(), real.tag + " ", real.tag[:-1]]:
            page = yield bench.store.sessions_of(junk)
            assert isinstance(page, RecordPage)
            assert page.records == (), junk
            page = yield bench.store.sessions_of(real.tag, cursor=junk)
            assert isinstance(page, RecordPage)
            assert {record.id for record in page.records} <= {real.id}

    @fact("naive or local clocks")
    def test_now_is_epoch_seconds_in_any_time_zone(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> Steps[None]:
        """The store's clock does not follow the process's time zone."""
        try:
            for zone in ("UTC", "Pacific/Kiritimati", "America/St_Johns"):
                monkeypatch.setenv("TZ", zone)
                time.tzset()
                store = yield from bench.open()
                now = yield store.now()
                assert isinstance(now, float)
                assert math.isclose(now, bench.clock(), rel_tol=0, abs_tol=300)
        finally:
            monkeypatch.undo()
            time.tzset()

    @fact()
    def test_every_answer_carries_the_stores_now(self, bench: Bench) -> Steps[None]:
        """The now of an answer lies between the store's clock before and after the call."""
        record = yield from bench.live("ada")
        for call in (
            lambda: bench.store.load(record.id),
            lambda: bench.store.load("unknown.id"),
            lambda: bench.store.save(record, write_id=new_write()),
            lambda: bench.store.touch(record.id),
            lambda: bench.store.sessions_of(record.tag),
            lambda: bench.store.end_user(record.tag, EndReason.REVOKED),
            lambda: bench.store.end(record.id, EndReason.REVOKED),
        ):
            before = yield bench.store.now()
            answer = yield call()
            after = yield bench.store.now()
            assert before <= answer.now <= after, answer

    @fact()
    def test_namespaces_do_not_see_each_other(self, bench: Bench) -> Steps[None]:
        """Two deployments on one engine share neither records, users nor not-before."""
        mine = yield from bench.live("ada")
        for namespace in (bench.options.namespace + "_2", bench.options.namespace + "_sessions"):
            other = yield from bench.open(namespace=namespace)
            assert isinstance((yield other.load(mine.id)), Missing)
            assert isinstance((yield other.end(mine.id, EndReason.REVOKED)), Missing)
            assert (yield other.sessions_of(mine.tag)).records == ()
            theirs = yield from bench.draft("ada", id=mine.id, payload=b"theirs")
            assert isinstance((yield other.create(theirs)), Saved)
            assert (yield other.load(mine.id)).record.payload == b"theirs"
            assert (yield other.end_user(mine.tag, EndReason.REVOKED)).ended == 1
            assert isinstance((yield other.load(mine.id)), Ended)
            assert (yield bench.store.load(mine.id)).record == mine

    @fact("wrong half of sync/async")
    def test_store_describes_itself(self, bench: Bench) -> Steps[None]:
        """Capabilities and counts are there, well-formed, before and after use."""
        known = bench.store.capabilities
        assert isinstance(known, Capabilities)
        assert known.name
        assert known.durability
        assert known.clock in ("store", "application")
        for _ in range(2):
            stats = yield bench.store.stats()
            assert isinstance(stats, StoreStats)
            for count in (stats.live, stats.tombstones):
                assert count is None or count >= 0
            assert isinstance(stats.detail, str)
            record = yield from bench.live("ada")
            yield bench.store.end(record.id, EndReason.REVOKED)

    @fact()
    def test_tables_can_be_created_again(self, bench: Bench) -> Steps[None]:
        """Creating what the engine needs is harmless when it is there already."""
        record = yield from bench.live("ada")
        yield bench.store.create_tables()
        assert (yield bench.store.load(record.id)).record == record

    @fact()
    def test_closed_store_reconnects(self, bench: Bench) -> Steps[None]:
        """A store may be used again after `close`, and closing twice is harmless."""
        record = yield from bench.live("ada")
        yield bench.store.close()
        yield bench.store.close()
        assert (yield bench.store.load(record.id)).record == record
