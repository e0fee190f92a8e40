"""Sessions in this process's memory, for tests, demos and single-process tools.

Every verb is one critical section under one lock, so both colours share one body without I/O.
Nothing survives a restart and nothing is shared between workers; `capabilities` says so.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice

from ..core.contract import (
    Capabilities,
    Conflict,
    CreateResult,
    Ended,
    EndResult,
    Exists,
    Limit,
    LimitReached,
    Live,
    Loaded,
    Missing,
    RecordPage,
    Saved,
    SaveResult,
    StoreStats,
    SucceedResult,
    Superseded,
    TouchResult,
    UserEnd,
)
from ..core.record import EndReason, Record
from ..core.steps import Steps
from .admission import TICK, counts_from, next_not_before
from .base import AsyncStore, Heard, Store, StoreBodies, StoreOptions
from .memory_state import MemoryState as MemoryState

COUNTED = 1000
LOOKED_AT = 5 * COUNTED
# Writes a record remembers before its last one: a retry may come after other writers.
REMEMBERED = 128


class _MemoryBodies(StoreBodies):
    capabilities = Capabilities(
        name="memory",
        shared=False,
        durability="nothing survives the process",
        clock="application",
        announces=True,
    )

    def __init__(
        self,
        options: StoreOptions | None = None,
        *,
        max_entries: int = 100_000,
        state: MemoryState | None = None,
    ) -> None:
        self.options = options or StoreOptions()
        self.state = state or MemoryState(max_entries)

    def _clock(self) -> float:
        return round(self.options.clock(), 6)

    def _judge(self, record: Record, now: float, not_after: float = float("inf")) -> Ended | None:
        """The one place that decides whether a stored record is over."""
        not_before = self.state.not_before.get(record.tag) if record.tag else None
        if not_before is not None and record.valid_from <= not_before[0]:
            return Ended(record.id, not_before[1], not_before[0], now, record.user_id)
        reason = record.expired(now)
        if reason is None and now >= not_after:
            reason = EndReason.ABSOLUTE
        if reason is None:
            return None
        return Ended(record.id, reason, min(record.deadline, not_after), now, record.user_id)

    def _look(self, session_id: str, not_after: float = float("inf")) -> Loaded:
        now = self._clock()
        record = self.state.records.get(session_id)
        if record is not None:
            return self._judge(record, now, not_after) or Live(record, now)
        buried = self.state.tombstones.get(session_id)
        return Missing(now) if buried is None else replace(buried[0], now=now)

    def _remove(self, record: Record) -> None:
        self.state.records.pop(record.id, None)
        self.state.earlier_writes.pop(record.id, None)
        members = self.state.users.get(record.tag)
        if members is not None:
            members.discard(record.id)
            if not members:
                del self.state.users[record.tag]
                self.state.latest.pop(record.tag, None)

    def _bury(self, record: Record, reason: EndReason, successor: str | None = None) -> Ended:
        now = self._clock()
        self._remove(record)
        ended = Ended(record.id, reason, now, now, record.user_id, successor)
        self.state.tombstones[record.id] = (ended, now + self.options.tombstone_retention)
        self._shed()
        self.state.announce(record.id)
        return ended

    def _insert(self, record: Record, now: float) -> Record:
        record = replace(record, last_active_at=now, promoted_at=now)
        if record.tag:
            # It was admitted, so it counts from some moment.
            begins = counts_from(record.valid_from, self._not_before(record.tag), now) or now
            record = replace(record, valid_from=begins)
            latest = self.state.latest.get(record.tag, 0.0)
            self.state.latest[record.tag] = max(begins, latest)
            self.state.users.setdefault(record.tag, set()).add(record.id)
        self.state.records[record.id] = record
        self._shed()
        return record

    def _shed(self) -> None:
        """Keep the size cap: tombstones go first, then the records longest unused."""
        state = self.state
        while state.tombstones and len(state.records) + len(state.tombstones) > state.max_entries:
            state.tombstones.popitem(last=False)
        if len(state.records) > state.max_entries:
            surplus = max(1, state.max_entries // 20)
            for old in heapq.nsmallest(
                surplus, state.records.values(), key=lambda r: r.last_active_at
            ):
                self._remove(old)

    def _live_of(self, tag: str, now: float) -> list[Record]:
        ids = self.state.users.get(tag, set())
        records = (self.state.records[session_id] for session_id in ids)
        return [record for record in records if self._judge(record, now) is None]

    def _count(self, tag: str, now: float, spared: str | None) -> int:
        """How many sessions of the user are alive, as far as that costs the same for everybody."""
        some = islice(self.state.users.get(tag, ()), LOOKED_AT)
        records = (self.state.records[each] for each in some if each != spared)
        alive = (record for record in records if self._judge(record, now) is None)
        return sum(1 for _ in islice(alive, COUNTED))

    def _admit(
        self, new: Record, limit: Limit | None, leaving: str | None, now: float
    ) -> tuple[Record, ...] | LimitReached | Superseded:
        """Which sessions must end for `new` to be let in, or why it is refused."""
        if not new.tag:
            return ()
        if counts_from(new.valid_from, self._not_before(new.tag), now) is None:
            return Superseded(now)
        if limit is None:
            return ()
        others = [r for r in self._live_of(new.tag, now) if r.id != leaving]
        surplus = len(others) + 1 - limit.count
        if surplus <= 0:
            return ()
        if limit.action == "reject":
            return LimitReached(now)
        return tuple(heapq.nsmallest(surplus, others, key=lambda r: (r.last_active_at, r.id)))

    def _occupied(self, session_id: str) -> bool:
        return session_id in self.state.records or session_id in self.state.tombstones

    def _not_before(self, tag: str) -> float:
        return self.state.not_before.get(tag, (0.0, EndReason.GONE))[0]

    def _written(self, record: Record, write_id: str) -> bool:
        """Whether this write is one of the record's last."""
        earlier = self.state.earlier_writes.get(record.id, ())
        return write_id == record.write_id or write_id in earlier

    def _now(self) -> Steps[float]:
        yield from ()
        return self._clock()

    def _create(self, record: Record, limit: Limit | None) -> Steps[CreateResult]:
        yield from ()
        with self.state.lock:
            now = self._clock()
            present = self.state.records.get(record.id)
            if present is not None and self._written(present, record.write_id):
                return Saved(record.version, now)
            if self._occupied(record.id):
                return Exists(now)
            leaving = self._admit(record, limit, None, now)
            if not isinstance(leaving, tuple):
                return leaving
            for other in leaving:
                self._bury(other, EndReason.LIMIT)
            self._insert(record, now)
            return Saved(record.version, now, tuple(other.id for other in leaving))

    def _load(self, session_id: str) -> Steps[Loaded]:
        yield from ()
        with self.state.lock:
            return self._look(session_id)

    def _save(
        self, record: Record, write_id: str, active: bool, not_after: float
    ) -> Steps[SaveResult]:
        yield from ()
        with self.state.lock:
            found = self._look(record.id, not_after)
            if not isinstance(found, Live):
                return found
            current, now = found.record, found.now
            if current.write_id == write_id:
                return Saved(current.version, now)
            earlier = self.state.earlier_writes.get(record.id, ())
            if write_id in earlier:
                return Saved(record.version + 1, now)
            if current.version != record.version:
                return Conflict(current, now)
            self.state.earlier_writes[record.id] = (current.write_id, *earlier)[:REMEMBERED]
            self.state.records[record.id] = replace(
                current,
                version=current.version + 1,
                write_id=write_id,
                payload=record.payload,
                policy=record.policy,
                idle_timeout=record.idle_timeout,
                absolute_timeout=record.absolute_timeout,
                last_active_at=now if active else current.last_active_at,
            )
            return Saved(current.version + 1, now)

    def _touch(self, session_id: str, not_after: float, ago: float) -> Steps[TouchResult]:
        yield from ()
        with self.state.lock:
            found = self._look(session_id, not_after)
            if not isinstance(found, Live):
                return found
            last = max(found.record.last_active_at, found.now - ago)
            record = replace(found.record, last_active_at=last)
            self.state.records[session_id] = record
            return Live(record, found.now)

    def _rotate(
        self, session_id: str, generation: int, next_hash: bytes | None
    ) -> Steps[TouchResult]:
        yield from ()
        with self.state.lock:
            found = self._look(session_id)
            if not isinstance(found, Live) or found.record.generation != generation:
                return found
            record = found.record
            if next_hash is not None and record.next_hash is None:
                record = replace(record, next_hash=next_hash)
            elif next_hash is None and record.next_hash is not None:
                record = replace(
                    record,
                    generation=generation + 1,
                    previous_hash=record.secret_hash,
                    secret_hash=record.next_hash,
                    next_hash=None,
                    promoted_at=found.now,
                )
            self.state.records[session_id] = record
            return Live(record, found.now)

    def _succeed(
        self, old_id: str, old_version: int, new: Record, reason: EndReason, limit: Limit | None
    ) -> Steps[SucceedResult]:
        yield from ()
        with self.state.lock:
            found = self._look(old_id)
            if not isinstance(found, Live):
                ours = self.state.records.get(new.id)
                if ours is not None and self._written(ours, new.write_id):
                    return Saved(new.version, found.now)
                return found
            if found.record.version != old_version:
                return Conflict(found.record, found.now)
            if self._occupied(new.id):
                return Exists(found.now)
            leaving = self._admit(new, limit, old_id, found.now)
            if not isinstance(leaving, tuple):
                return leaving
            self._bury(found.record, reason, new.id)
            for other in leaving:
                self._bury(other, EndReason.LIMIT)
            self._insert(new, found.now)
            return Saved(new.version, found.now, tuple(other.id for other in leaving))

    def _end(self, session_id: str, reason: EndReason, user_id: str | None) -> Steps[EndResult]:
        yield from ()
        with self.state.lock:
            found = self._look(session_id)
            if isinstance(found, Missing):
                return found
            owner = found.record.user_id if isinstance(found, Live) else found.user_id
            if user_id is not None and owner != user_id:
                return Missing(found.now)
            if isinstance(found, Ended):
                return found
            return replace(self._bury(found.record, reason), fresh=True)

    def _end_user(
        self, tag: str, reason: EndReason, except_id: str | None, own_id: str | None
    ) -> Steps[UserEnd]:
        yield from ()
        with self.state.lock:
            now = self._clock()
            own = self.state.records.get(own_id) if own_id and own_id != except_id else None
            met = own is not None and own.tag == tag and self._judge(own, now) is None
            ended = self._count(tag, now, except_id)
            latest = self.state.latest.get(tag, 0.0)
            not_before = next_not_before(now, self._not_before(tag), latest)
            spared = self.state.records.get(except_id) if except_id else None
            if spared is not None and (spared.tag != tag or self._judge(spared, now) is not None):
                spared = None
            self.state.not_before[tag] = (not_before, reason)
            if spared is not None:
                lifted = round(not_before + TICK, 6)
                self.state.records[spared.id] = replace(spared, valid_from=lifted)
            self.state.announce(tag)
            return UserEnd(not_before, ended, now, met)

    def _sessions_of(self, tag: str, cursor: str | None, count: int) -> Steps[RecordPage]:
        yield from ()
        with self.state.lock:
            now = self._clock()
            live = sorted(self._live_of(tag, now), key=lambda r: r.id)
            after = [record for record in live if cursor is None or record.id > cursor]
            page = tuple(after[:count])
            return RecordPage(page, now, page[-1].id if len(after) > count else None)

    def _purge_expired(self, limit: int) -> Steps[int]:
        yield from ()
        with self.state.lock:
            now = self._clock()
            doomed = list(self._past_retention(now, limit))
            for session_id in doomed:
                self.state.tombstones.pop(session_id, None)
                record = self.state.records.get(session_id)
                if record is not None:
                    self._remove(record)
            horizon = now - self.options.not_before_retention
            for tag in [t for t, (at, _) in self.state.not_before.items() if at < horizon]:
                del self.state.not_before[tag]
            return len(doomed)

    def _past_retention(self, now: float, limit: int) -> Iterator[str]:
        left = limit
        for session_id, (_, until) in self.state.tombstones.items():
            if left and until <= now:
                left -= 1
                yield session_id
        for record in self.state.records.values():
            if not left:
                return
            ended = self._judge(record, now)
            if ended is not None and ended.ended_at + self.options.ended_retention <= now:
                left -= 1
                yield record.id

    def _stats(self) -> Steps[StoreStats]:
        yield from ()
        with self.state.lock:
            now = self._clock()
            live = sum(self._judge(r, now) is None for r in self.state.records.values())
            return StoreStats(live, len(self.state.tombstones))


class MemoryStore(_MemoryBodies, Store):
    """Blocking colour; give `state=` of another memory store to share its sessions."""


class AsyncMemoryStore(_MemoryBodies, AsyncStore):
    """Asyncio colour over the same kind of state; no call but `listen` ever waits."""

    async def listen(self, heard: Heard) -> None:
        loop = asyncio.get_running_loop()

        def tell(name: str) -> None:
            with suppress(RuntimeError):  # the loop is closed, so nobody listens there any more
                loop.call_soon_threadsafe(heard, name)

        self.state.listeners.add(tell)
        try:
            heard(None)
            await loop.create_future()
        finally:
            self.state.listeners.discard(tell)
