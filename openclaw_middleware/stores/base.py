"""The store contract in both colours, and the shell that turns one body per verb into either.

A store writes generator bodies (`_load`, `_save`, ...) once; `Store` runs them blocking and
`AsyncStore` awaits them. The shells set the verb's deadline, map driver errors to
`StoreUnavailable`, and repeat a verb once when the connection was found dead: every verb is safe
to repeat, because writes carry a write id. No engine's library is imported here.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from ..core import deadline
from ..core.contract import (
    Capabilities,
    CreateResult,
    EndResult,
    Limit,
    Loaded,
    RecordPage,
    SaveResult,
    StoreStats,
    SucceedResult,
    TouchResult,
    UserEnd,
)
from ..core.record import EndReason, Record
from ..core.steps import Steps, adrive, drive
from ..errors import StoreUnavailable

T = TypeVar("T")
Body = Callable[..., Steps[T]]
Heard = Callable[[str | None], None]


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """What every store needs to know of the deployment.

    Attributes:
        namespace: prefix of keys and tables; lower-case letters, digits and `_`.
        timeout: seconds one verb may take, waiting for a pooled connection and a second try
            included; less when a request has less left (`core.deadline`).
        ended_retention: seconds an expired record is kept past its deadline, to say why it ended.
        tombstone_retention: seconds a tombstone is kept; afterwards the answer is "gone".
        not_before_retention: seconds a user's not-before is kept; at least the longest absolute
            limit, else a session could outlive the logout that ended it.
        clock: epoch seconds, for stores whose engine has no clock of its own.
    """

    namespace: str = "openclaw"
    timeout: float = 1.0
    ended_retention: float = 3600.0
    tombstone_retention: float = 86400.0
    not_before_retention: float = 400 * 86400.0
    clock: Callable[[], float] = time.time


class StoreBodies:
    """The verbs as generator bodies; subclassed once per engine, for both colours.

    `driver_errors` lists the exceptions the engine's library raises for a failing engine;
    `_disconnected` tells which of them mean that the connection was already dead.
    """

    driver_errors: ClassVar[tuple[type[BaseException], ...]] = (OSError, TimeoutError)
    capabilities: Capabilities
    options: StoreOptions

    def _disconnected(self, error: BaseException) -> bool:
        return isinstance(error, ConnectionError)

    def _failure(self, error: BaseException, operation: str) -> StoreUnavailable:
        name = self.capabilities.name
        return StoreUnavailable(
            f"store {name!r} failed during {operation}: {type(error).__name__}: {error}",
            store=name,
            operation=operation,
            disconnected=self._disconnected(error),
        )

    def _now(self) -> Steps[float]:
        raise NotImplementedError

    def _create(self, record: Record, limit: Limit | None) -> Steps[CreateResult]:
        raise NotImplementedError

    def _load(self, session_id: str) -> Steps[Loaded]:
        raise NotImplementedError

    def _save(
        self, record: Record, write_id: str, active: bool, not_after: float
    ) -> Steps[SaveResult]:
        raise NotImplementedError

    def _touch(self, session_id: str, not_after: float, ago: float) -> Steps[TouchResult]:
        raise NotImplementedError

    def _rotate(
        self, session_id: str, generation: int, next_hash: bytes | None
    ) -> Steps[TouchResult]:
        raise NotImplementedError

    def _succeed(
        self, old_id: str, old_version: int, new: Record, reason: EndReason, limit: Limit | None
    ) -> Steps[SucceedResult]:
        raise NotImplementedError

    def _end(self, session_id: str, reason: EndReason, user_id: str | None) -> Steps[EndResult]:
        raise NotImplementedError

    def _end_user(
        self, tag: str, reason: EndReason, except_id: str | None, own_id: str | None
    ) -> Steps[UserEnd]:
        raise NotImplementedError

    def _sessions_of(self, tag: str, cursor: str | None, count: int) -> Steps[RecordPage]:
        raise NotImplementedError

    def _purge_expired(self, limit: int) -> Steps[int]:
        raise NotImplementedError

    def _stats(self) -> Steps[StoreStats]:
        raise NotImplementedError


class Store(StoreBodies):
    """A blocking store. Docstrings of the verbs hold for `AsyncStore` as well.

    Whatever a body waits for asks `core.deadline` how long it may.
    """

    def now(self) -> float:
        """The clock deadlines are judged by, in epoch seconds."""
        return self._call("now", self._now)

    def create(self, record: Record, *, limit: Limit | None = None) -> CreateResult:
        """Insert a new record; never overwrites one, nor a tombstone.

        For a user's record, refused with `Superseded` when the user's not-before is at or after
        `record.valid_from`; `limit` is kept in the same step. `last_active_at` and `promoted_at`
        become the store's now. A repeat with the same write id answers `Saved`.
        """
        return self._call("create", self._create, record, limit)

    def load(self, session_id: str) -> Loaded:
        """The record and the store's now; `Ended` with the reason when it is over. Never writes."""
        return self._call("load", self._load, session_id)

    def save(
        self, record: Record, *, write_id: str, active: bool = True, not_after: float = math.inf
    ) -> SaveResult:
        """Update payload, policy and limits if the stored version is still `record.version`.

        Never creates. With `active` the idle clock starts anew. `not_after` (epoch seconds) is a
        further deadline, checked with the stored ones in the same step. A conflict with our own
        `write_id` answers `Saved`.
        """
        return self._call("save", self._save, record, write_id, active, not_after)

    def touch(
        self, session_id: str, *, not_after: float = math.inf, ago: float = 0.0
    ) -> TouchResult:
        """Start the idle clock anew if the record is still alive; no payload, no new version.

        With `ago` it starts at the activity of so many seconds ago, unless there was a later one.
        """
        return self._call("touch", self._touch, session_id, not_after, ago)

    def rotate(
        self, session_id: str, *, generation: int, next_hash: bytes | None = None
    ) -> TouchResult:
        """Offer a successor secret (`next_hash`), or promote the offered one (None).

        Applies only while the stored generation is `generation`, the offer only while none is
        outstanding, the promotion only while one is; otherwise nothing changes. Always answers
        the record as it is afterwards. Promotion moves `next_hash` to `secret_hash`, that to
        `previous_hash`, counts the generation up and sets `promoted_at` to now.
        """
        return self._call("rotate", self._rotate, session_id, generation, next_hash)

    def succeed(
        self,
        old_id: str,
        old_version: int,
        new: Record,
        *,
        reason: EndReason = EndReason.REPLACED,
        limit: Limit | None = None,
    ) -> SucceedResult:
        """End the old record and create the new one: afterwards never both are alive.

        The old one must still have `old_version`. Its tombstone names the successor. The limit
        counts the new record but not the old one. All refusals of `create` apply to the new
        record, and then the old one is unchanged.
        """
        return self._call("succeed", self._succeed, old_id, old_version, new, reason, limit)

    def end(self, session_id: str, reason: EndReason, *, user_id: str | None = None) -> EndResult:
        """Turn the record into a tombstone. `fresh` tells whether this call did it.

        With `user_id`, a record of anybody else is answered `Missing` and left alone.
        """
        return self._call("end", self._end, session_id, reason, user_id)

    def end_user(
        self,
        tag: str,
        reason: EndReason,
        *,
        except_id: str | None = None,
        own_id: str | None = None,
    ) -> UserEnd:
        """End every session of the user by moving the user's not-before to now. O(1).

        `not_before` never moves backwards. The record `except_id`, if it is a live one of this
        user, gets a `valid_from` just after the new not-before. The answer tells whether
        the record `own_id` was a live one of this user and is not spared.
        """
        return self._call("end_user", self._end_user, tag, reason, except_id, own_id)

    def sessions_of(self, tag: str, *, cursor: str | None = None, count: int = 100) -> RecordPage:
        """Live records of the user, at most `count` of them, for display."""
        return self._call("sessions_of", self._sessions_of, tag, cursor, count)

    def purge_expired(self, limit: int = 1000) -> int:
        """Remove up to `limit` records and tombstones whose retention is over; how many went."""
        return self._call("purge_expired", self._purge_expired, limit)

    def stats(self) -> StoreStats:
        """Counts, where the engine knows them without a scan."""
        return self._call("stats", self._stats)

    def create_tables(self) -> None:
        """Create what the engine needs before first use; most need nothing."""

    def close(self) -> None:
        """Release connections. The store may be used again: it reconnects."""

    def _run(self, body: Body[T], *args: Any) -> T:
        return drive(body(*args))

    def _call(self, operation: str, body: Body[T], *args: Any) -> T:
        begun = deadline.narrow(self.options.timeout)
        try:
            try:
                return self._run(body, *args)
            except self.driver_errors as error:
                failure = self._failure(error, operation)
                if not failure.disconnected:
                    raise failure from error
            return self._run(body, *args)
        except self.driver_errors as error:
            raise self._failure(error, operation) from error
        finally:
            deadline.end(begun)


class AsyncStore(StoreBodies):
    """The same verbs as `Store`, awaited; each is bounded by its deadline."""

    async def now(self) -> float:
        return await self._call("now", self._now)

    async def create(self, record: Record, *, limit: Limit | None = None) -> CreateResult:
        return await self._call("create", self._create, record, limit)

    async def load(self, session_id: str) -> Loaded:
        return await self._call("load", self._load, session_id)

    async def save(
        self, record: Record, *, write_id: str, active: bool = True, not_after: float = math.inf
    ) -> SaveResult:
        return await self._call("save", self._save, record, write_id, active, not_after)

    async def touch(
        self, session_id: str, *, not_after: float = math.inf, ago: float = 0.0
    ) -> TouchResult:
        return await self._call("touch", self._touch, session_id, not_after, ago)

    async def rotate(
        self, session_id: str, *, generation: int, next_hash: bytes | None = None
    ) -> TouchResult:
        return await self._call("rotate", self._rotate, session_id, generation, next_hash)

    async def succeed(
        self,
        old_id: str,
        old_version: int,
        new: Record,
        *,
        reason: EndReason = EndReason.REPLACED,
        limit: Limit | None = None,
    ) -> SucceedResult:
        return await self._call("succeed", self._succeed, old_id, old_version, new, reason, limit)

    async def end(
        self, session_id: str, reason: EndReason, *, user_id: str | None = None
    ) -> EndResult:
        return await self._call("end", self._end, session_id, reason, user_id)

    async def end_user(
        self,
        tag: str,
        reason: EndReason,
        *,
        except_id: str | None = None,
        own_id: str | None = None,
    ) -> UserEnd:
        return await self._call("end_user", self._end_user, tag, reason, except_id, own_id)

    async def sessions_of(
        self, tag: str, *, cursor: str | None = None, count: int = 100
    ) -> RecordPage:
        return await self._call("sessions_of", self._sessions_of, tag, cursor, count)

    async def purge_expired(self, limit: int = 1000) -> int:
        return await self._call("purge_expired", self._purge_expired, limit)

    async def stats(self) -> StoreStats:
        return await self._call("stats", self._stats)

    async def listen(self, heard: Heard) -> None:
        """Hear of sessions that end, until cancelled; only where `capabilities.announces`.

        `heard(None)`: listening has begun, or begun again; what ended before may have been missed.
        `heard(name)`: a session id (with a dot) that ended, or the tag of a user whose sessions
        all ended, but possibly one. It is a hint: it may be wrong, come twice, or get lost.

        Raises:
            StoreUnavailable: the connection cannot be made, or broke.
        """
        raise NotImplementedError

    async def create_tables(self) -> None:
        return None

    async def close(self) -> None:
        return None

    async def _run(self, body: Body[T], *args: Any) -> T:
        return await adrive(body(*args))

    async def _call(self, operation: str, body: Body[T], *args: Any) -> T:
        begun = deadline.narrow(self.options.timeout)
        try:
            async with asyncio.timeout(deadline.left()):
                try:
                    return await self._run(body, *args)
                except self.driver_errors as error:
                    failure = self._failure(error, operation)
                    if not failure.disconnected:
                        raise failure from error
                return await self._run(body, *args)
        except TimeoutError as error:
            raise self._failure(error, operation) from error
        except self.driver_errors as error:
            raise self._failure(error, operation) from error
        finally:
            deadline.end(begun)
