"""What is particular to the memory store: its size cap, shared state, and what it remembers."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from openclaw_middleware.core.contract import Ended, Limit, Live, Missing, Saved
from openclaw_middleware.core.record import EndReason, Record
from openclaw_middleware.core.token import mint, user_tag
from openclaw_middleware.errors import ConfigurationError
from openclaw_middleware.stores.base import StoreOptions
from openclaw_middleware.stores.memory import AsyncMemoryStore, MemoryStore
from openclaw_middleware.stores.url import open_store
from openclaw_middleware.testing import Clock

SIZE = 100


@pytest.fixture
def clock():
    return Clock(1_800_000_000.0)


@pytest.fixture
def store(clock):
    return MemoryStore(StoreOptions(clock=clock), max_entries=SIZE)


def draft(clock: Clock, number: int, user_id: str | None = None) -> Record:
    tag = "" if user_id is None else user_tag(b"k", user_id)
    token = mint(tag, lambda size: number.to_bytes(size, "big"))
    now = clock()
    return Record(
        id=token.id,
        secret_hash=token.secret_hash,
        version=1,
        write_id=f"w{number}",
        created_at=now,
        authenticated_at=None if user_id is None else now,
        valid_from=now,
        last_active_at=now,
        idle_timeout=1800.0,
        absolute_timeout=28800.0,
        policy="default",
        user_id=user_id,
        payload=b"",
    )


def fill(store: MemoryStore, clock: Clock, count: int, user_id: str | None = None) -> list[Record]:
    """Records one second apart."""
    records = []
    for number in range(count):
        record = draft(clock, number, user_id)
        assert isinstance(store.create(record), Saved)
        records.append(record)
        clock.advance(1)
    return records


def entries(store: MemoryStore) -> int:
    return len(store.state.records) + len(store.state.tombstones)


@pytest.mark.parametrize("user_id", [None, "ada"])
def test_the_size_cap_holds(store, clock, user_id):
    """However many sessions are made, no more than the cap are kept."""
    for record in fill(store, clock, 5 * SIZE, user_id):
        assert entries(store) <= SIZE
        store.end(record.id, EndReason.SIGNED_OUT)
        assert entries(store) <= SIZE


def test_the_longest_unused_are_shed(store, clock):
    """Over the cap, the records longest without activity go, and the new one stays."""
    records = fill(store, clock, SIZE)
    store.touch(records[0].id)
    clock.advance(1)
    new = draft(clock, SIZE)
    store.create(new)
    kept = [r for r in records if isinstance(store.load(r.id), Live)]
    assert records[0] in kept
    assert isinstance(store.load(new.id), Live)
    assert kept[1:] == records[-len(kept) + 1 :]
    assert SIZE * 0.9 <= len(kept) < SIZE


def test_tombstones_are_shed_before_records(store, clock):
    """No living session goes while there is a tombstone to drop; the oldest tombstones go first."""
    records = fill(store, clock, SIZE)
    for record in records[:10]:
        store.end(record.id, EndReason.SIGNED_OUT)
    for number in range(SIZE, SIZE + 10):
        store.create(draft(clock, number))
        clock.advance(1)
    assert all(isinstance(store.load(r.id), Live) for r in records[10:])
    assert all(isinstance(store.load(r.id), Missing) for r in records[:10])
    assert entries(store) == SIZE


def test_shed_session_stays_gone(store, clock):
    """A session dropped for room is missing to every verb, and in no list."""
    records = fill(store, clock, SIZE + 1, "ada")
    shed = records[0]
    assert isinstance(store.load(shed.id), Missing)
    assert isinstance(store.save(shed, write_id="late"), Missing)
    assert isinstance(store.touch(shed.id), Missing)
    listed = store.sessions_of(shed.tag, count=2 * SIZE).records
    assert {r.id for r in listed} == set(store.state.records)


def test_nothing_of_a_dead_session_is_kept(store, clock):
    """Ended, replaced, shed and purged records leave no payload, index or write id behind."""
    for number in range(3 * SIZE):
        record = replace(draft(clock, number, f"u{number}"), payload=b"x")
        store.create(record)
        store.save(record, write_id=f"s{number}")
        if number % 3 == 0:
            store.end(record.id, EndReason.SIGNED_OUT)
        if number % 3 == 1:
            store.succeed(record.id, 2, draft(clock, 10_000 + number, f"u{number}"))
        clock.advance(1)
    state = store.state
    assert set(state.earlier_writes) <= set(state.records)
    assert {i for ids in state.users.values() for i in ids} == set(state.records)
    assert all(state.users.values())
    clock.advance(400 * 86400)
    store.purge_expired(10 * SIZE)
    assert state.records == state.tombstones == state.users == state.earlier_writes == {}


def test_both_colours_can_share_one_state(store, clock):
    """An async store given the state of a blocking one serves the same sessions."""
    twin = AsyncMemoryStore(store.options, state=store.state)
    record = draft(clock, 1, "ada")

    async def main() -> None:
        await twin.create(record, limit=Limit(1))
        assert isinstance(store.load(record.id), Live)
        store.end(record.id, EndReason.SIGNED_OUT)
        assert isinstance(await twin.load(record.id), Ended)

    asyncio.run(main())


def test_the_url_sets_the_cap():
    """`memory://?max_entries=` is the cap; nonsense in the URL is refused."""
    assert open_store("memory://", StoreOptions(), "sync").state.max_entries == 100_000
    small = open_store("memory://?max_entries=7", StoreOptions(), "async")
    assert small.state.max_entries == 7
    for bad in ("memory://?max_entries=0", "memory://?max_entries=x", "memory://?size=3"):
        with pytest.raises(ConfigurationError):
            open_store(bad, StoreOptions(), "sync")


def test_the_store_says_what_it_cannot_do(store):
    """It is neither shared nor durable, and says so."""
    assert not store.capabilities.shared
    assert "nothing" in store.capabilities.durability
    assert store.capabilities.clock == "application"


def test_counts_are_exact(store, clock):
    """Memory knows how many are alive and how many tombstones it keeps."""
    records = fill(store, clock, 10, "ada")
    store.end(records[0].id, EndReason.SIGNED_OUT)
    stats = store.stats()
    assert (stats.live, stats.tombstones) == (9, 1)


@pytest.mark.parametrize("idle", [False, True])
def test_log_out_everywhere_does_not_grow_with_the_sessions(store, clock, monkeypatch, idle):
    """Not even to count them: tens of thousands are as quickly out as a few."""
    judged = []
    judge = MemoryStore._judge

    def counting(self, *args):
        judged.append(args)
        return judge(self, *args)

    record = draft(clock, 0, "ada")
    ids = [f"{record.tag}.{number:022d}" for number in range(30_000)]
    store.state.records.update((each, replace(record, id=each)) for each in ids)
    store.state.users[record.tag] = set(ids)
    clock.advance(record.idle_timeout if idle else 1)
    monkeypatch.setattr(MemoryStore, "_judge", counting)
    answer = store.end_user(record.tag, EndReason.REVOKED, except_id=ids[0], own_id=ids[1])
    assert len(judged) <= 6000
    assert (answer.ended, answer.own) == ((0, False) if idle else (1000, True))
    assert [isinstance(store.load(each), Live) for each in ids[:3]] == [not idle, False, False]
