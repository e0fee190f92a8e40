"""Conformance: who listens is told of the end of sessions, where the store claims to announce it.

Listening is for asyncio only; ends are announced by stores of both colours.
"""
# ruff: noqa: S101 - a conformance suite asserts

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ..core.contract import Conflict, LimitReached, Missing, Saved
from ..core.contract import Limit as AtMost
from ..core.record import EndReason
from ..core.steps import Steps
from ..stores.base import AsyncStore
from .conformance_bench import Bench, fact, new_write

PATIENCE = 10.0


class _Ear:
    """Listens to the store of a bench, if there is something to be heard."""

    def __init__(self, bench: Bench) -> None:
        if not isinstance(bench.store, AsyncStore) or not bench.store.capabilities.announces:
            pytest.skip("nothing is heard here")
        self.heard: list[str] = []
        self.before: list[str] = []
        self._begun = asyncio.Event()
        self._came = asyncio.Event()
        self.listening = asyncio.ensure_future(bench.store.listen(self._hear))

    def _hear(self, name: str | None) -> None:
        if name is None:
            self._begun.set()
        else:
            self.heard.append(name)
            self._came.set()

    async def begun(self) -> None:
        async with asyncio.timeout(PATIENCE):
            waiting = asyncio.ensure_future(self._begun.wait())
            await asyncio.wait({waiting, self.listening}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self.listening.done():
            self.listening.result()

    async def hears(self, *names: str) -> None:
        """Wait for all of these; what was heard up to then is gathered in `before`."""
        async with asyncio.timeout(PATIENCE):
            while not set(names) <= set(self.heard):
                self._came.clear()
                await self._came.wait()
        self.before, self.heard = self.heard, []

    async def stop(self) -> None:
        self.listening.cancel()
        await asyncio.wait({self.listening})


class AnnouncementConformance:
    """`listen`, and what it is told."""

    @fact("configuration swallowed")
    def test_every_end_is_announced(self, bench: Bench) -> Steps[None]:
        """Ended, replaced, put out by the limit, logged out everywhere: by id, or by the tag."""
        ear = _Ear(bench)
        yield ear.begun()
        store = bench.store
        visitor, one, two, three = yield from bench.lives(None, "ada", "ada", "ada")
        yield store.end(visitor.id, EndReason.SIGNED_OUT)
        yield ear.hears(visitor.id)
        yield store.end(one.id, EndReason.REVOKED, user_id="ada")
        yield ear.hears(one.id)
        heir = yield from bench.draft("ada")
        assert isinstance((yield store.succeed(two.id, two.version, heir)), Saved)
        yield ear.hears(two.id)
        last = yield from bench.draft("ada")
        assert isinstance((yield store.create(last, limit=AtMost(1))), Saved)
        yield ear.hears(three.id, heir.id)
        yield store.end_user(last.tag, EndReason.REVOKED)
        yield ear.hears(last.tag)
        yield ear.stop()

    @fact("wrong half of sync/async")
    def test_the_blocking_store_announces_as_well(self, bench: Bench) -> Steps[None]:
        ear = _Ear(bench)
        yield ear.begun()
        record = yield from bench.live("ada")
        blocking: Any = bench.make_store("sync", bench.options)
        yield asyncio.to_thread(blocking.end, record.id, EndReason.REVOKED)
        yield ear.hears(record.id)
        yield asyncio.to_thread(blocking.end_user, record.tag, EndReason.REVOKED)
        yield ear.hears(record.tag)
        yield asyncio.to_thread(blocking.close)
        yield ear.stop()

    @fact("configuration swallowed")
    def test_what_ends_nothing_is_not_announced(self, bench: Bench) -> Steps[None]:
        """Neither reading, writing, nor an end that was refused."""
        ear = _Ear(bench)
        yield ear.begun()
        store = bench.store
        record = yield from bench.live("ada")
        yield store.load(record.id)
        yield store.touch(record.id)
        yield store.rotate(record.id, generation=0, next_hash=b"n" * 32)
        yield store.save(record, write_id=new_write())
        assert isinstance((yield store.end(record.id, EndReason.REVOKED, user_id="bob")), Missing)
        heir = yield from bench.draft("ada")
        assert isinstance((yield store.succeed(record.id, record.version, heir)), Conflict)
        refused = yield store.create(heir, limit=AtMost(1, "reject"))
        assert isinstance(refused, LimitReached)
        yield store.purge_expired()
        # Announced in the order they happened, so nothing before this one is still on its way.
        yield store.end(record.id, EndReason.REVOKED)
        yield ear.hears(record.id)
        assert ear.before == [record.id]
        yield ear.stop()

    @fact("configuration swallowed")
    def test_only_this_namespace_is_heard(self, bench: Bench) -> Steps[None]:
        ear = _Ear(bench)
        yield ear.begun()
        here = yield from bench.live("ada")
        first = bench.store
        yield from bench.fresh()
        there = yield from bench.live("ada")
        yield bench.store.end(there.id, EndReason.REVOKED)
        yield first.end(here.id, EndReason.REVOKED)
        yield ear.hears(here.id)
        assert there.id not in ear.before
        yield ear.stop()
