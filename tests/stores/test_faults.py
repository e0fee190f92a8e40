"""The public test helpers for stores: the clock, and the faults put around a store."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from openclaw_middleware.core.contract import Ended, Limit, Live, Missing, Saved
from openclaw_middleware.core.record import EndReason, Record
from openclaw_middleware.core.steps import adrive, drive
from openclaw_middleware.errors import StoreUnavailable
from openclaw_middleware.stores.base import AsyncStore, Store
from openclaw_middleware.stores.memory import AsyncMemoryStore, MemoryStore
from openclaw_middleware.testing import Clock, Counting, Gate, LostReplies, wrap

RECORD = Record(
    id="tag.random",
    secret_hash=b"h" * 32,
    version=1,
    write_id="w",
    created_at=1e9,
    authenticated_at=None,
    valid_from=1e9,
    last_active_at=1e9,
    idle_timeout=1e10,
    absolute_timeout=1e10,
    policy="default",
    user_id="ada",
    payload=b"",
)


@pytest.fixture(params=["sync", "async"])
def store(request):
    return MemoryStore() if request.param == "sync" else AsyncMemoryStore()


def run(store, body):
    """Run a generator body in the store's colour."""
    return asyncio.run(adrive(body)) if isinstance(store, AsyncStore) else drive(body)


def test_clock_moves_only_when_told():
    clock = Clock(100.0)
    assert (clock(), clock()) == (100.0, 100.0)
    assert clock.advance(0.5) == 100.5
    clock.set(7.0)
    assert clock() == 7.0
    assert Clock()() > 1.7e9


def test_wrapping_keeps_colour_and_description(store):
    wrapped = wrap(store, Counting(), LostReplies("save"))
    assert isinstance(wrapped, Store) == isinstance(store, Store)
    assert wrapped.capabilities is store.capabilities
    assert wrapped.options is store.options


def test_every_verb_passes_through_and_is_counted(store):
    counting = Counting()
    wrapped = wrap(store, counting)

    def body():
        assert (yield wrapped.now()) > 0
        assert isinstance((yield wrapped.create(RECORD, limit=Limit(1))), Saved)
        assert isinstance((yield wrapped.load(RECORD.id)), Live)
        late = yield wrapped.save(RECORD, write_id="x", active=False, not_after=0.0)
        assert isinstance(late, Ended)
        assert isinstance((yield wrapped.touch(RECORD.id, not_after=0.0)), Ended)
        offered = yield wrapped.rotate(RECORD.id, generation=0, next_hash=b"n")
        assert offered.record.next_hash == b"n"
        new = replace(RECORD, id="tag.other", write_id="n")
        limit = Limit(1, "reject")
        saved = yield wrapped.succeed(RECORD.id, 1, new, reason=EndReason.THEFT, limit=limit)
        assert isinstance(saved, Saved)
        assert (yield wrapped.load(RECORD.id)).reason is EndReason.THEFT
        nobody = yield wrapped.end("tag.other", EndReason.REVOKED, user_id="bob")
        assert isinstance(nobody, Missing)
        assert len((yield wrapped.sessions_of("tag", cursor=None, count=5)).records) == 1
        yield wrapped.end_user("tag", EndReason.REVOKED, except_id="tag.other")
        assert isinstance((yield wrapped.load("tag.other")), Live)
        assert (yield wrapped.purge_expired(1)) == 0
        assert (yield wrapped.stats()).live == 1
        yield wrapped.create_tables()
        yield wrapped.close()

    run(store, body())
    assert counting.trips["load"] == 3
    assert counting.total == 14
    counting.reset()
    assert counting.total == 0


def test_lost_reply_is_performed_and_fails_as_often_as_asked(store):
    wrapped = wrap(store, LostReplies("create", "load", times=3, every=2))

    def body():
        assert isinstance((yield wrapped.create(RECORD)), Saved)
        for _ in range(3):
            with pytest.raises(StoreUnavailable) as lost:
                yield wrapped.load(RECORD.id)
            assert (lost.value.disconnected, lost.value.operation) == (True, "load")
            assert isinstance((yield wrapped.load(RECORD.id)), Live)
            yield wrapped.touch(RECORD.id)
        assert isinstance((yield wrapped.load(RECORD.id)), Live)

    run(store, body())


@pytest.mark.parametrize("when", ["before", "after"])
def test_gate_holds_a_verb(store, when):
    gate = Gate("end", when)
    wrapped = wrap(store, gate)
    seen = []

    def slow():
        seen.append((yield wrapped.end(RECORD.id, EndReason.SIGNED_OUT)))

    def other():
        yield gate.reached()
        seen.append((yield wrapped.load(RECORD.id)))
        gate.open()

    if isinstance(store, AsyncStore):

        async def main():
            await store.create(RECORD)
            await asyncio.gather(adrive(slow()), adrive(other()))

        asyncio.run(main())
    else:
        store.create(RECORD)
        thread = threading.Thread(target=lambda: drive(slow()))
        thread.start()
        drive(other())
        thread.join()
    assert isinstance(seen[0], Live if when == "before" else Ended)
    assert isinstance(seen[1], Ended)
    assert seen[1].fresh


def test_gate_nobody_comes_to_gives_up(store):
    gate = Gate("end", patience=0.01)
    wrap(store, gate)

    def body():
        with pytest.raises(TimeoutError):
            yield gate.reached()

    run(store, body())


def test_package_and_helpers_import_without_pytest():
    """Only the conformance suite needs pytest, and it is loaded when asked for."""
    code = (
        "import sys; import openclaw_middleware.testing as t; t.Clock; t.wrap; "
        "assert 'pytest' not in sys.modules; t.StoreConformance; assert 'pytest' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
