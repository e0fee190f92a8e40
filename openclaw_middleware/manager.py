"""Sessions seen from outside a request: list, look at, end, clean up, write from a job.

One body for both colours, two thin classes. What a request does with its own session is in
`session`; nothing here reads a cookie.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from .config import SessionSettings
from .core import events as ev
from .core.contract import Capabilities, Ended, Live, StoreStats
from .core.events import Listener
from .core.exchange import Exchange
from .core.record import EndReason, Record
from .core.request import RequestInfo
from .core.steps import Steps, adrive, drive
from .driver import AsyncDriver, Driver
from .errors import CodecError, SessionEnded, SessionError
from .info import Page, SessionInfo, describe
from .runtime import Runtime, runtime_of
from .session import Session


class _Management:
    """The bodies, for both colours."""

    def __init__(
        self, sessions: SessionSettings | Runtime | Any, *, listeners: Iterable[Listener] = ()
    ) -> None:
        self.runtime = runtime_of(sessions)
        self.runtime.events.add(listeners)

    @property
    def settings(self) -> SessionSettings:
        """The settings this manager was made from."""
        return self.runtime.settings

    def _info(self, record: Record, now: float) -> SessionInfo | None:
        """The public view, None for a record that does not open or lies in a foreign shard."""
        desk = self.runtime.desk
        if record.tag != desk.tag(record.user_id):
            return None
        try:
            _, meta = desk.sealer.unseal(record).decode()
        except CodecError as error:
            ev.logger.warning("session %s cannot be read: %s", record.id, error)
            return None
        return describe(record, meta, now, desk.rules)

    def _exchange(self, driver: Driver | AsyncDriver) -> Exchange:
        """Nobody's request, for its trips: they have a deadline, and keep the driver's breaker."""
        x = Exchange(self.runtime.desk, RequestInfo(passive=True))
        x.store, x.breaker = driver.store, driver.breaker
        return x

    def _sessions_of(
        self, x: Exchange, user_id: object, limit: int, cursor: str | None
    ) -> Steps[Page[SessionInfo]]:
        tag = self.runtime.desk.tag(str(user_id))
        page = yield from x.trip("sessions_of", tag, cursor=cursor, count=limit)
        found = (self._info(record, page.now) for record in page.records)
        rules = self.runtime.desk.rules
        alive = {r.id for r in page.records if page.now < rules.not_after(r)}
        return Page(tuple(i for i in found if i is not None and i.id in alive), page.cursor)

    def _get(self, x: Exchange, session_id: str) -> Steps[SessionInfo | None]:
        found = yield from x.trip("load", session_id)
        if not isinstance(found, Live):
            return None
        if self.runtime.desk.rules.expired(found.record, found.now):
            return None
        return self._info(found.record, found.now)

    def _end_of(self, x: Exchange, session_id: str) -> Steps[EndReason | None]:
        found = yield from x.trip("load", session_id)
        if isinstance(found, Live):
            return self.runtime.desk.rules.expired(found.record, found.now)
        return found.reason if isinstance(found, Ended) else EndReason.GONE

    def _revoke(
        self, x: Exchange, session_id: str, user_id: object, reason: EndReason
    ) -> Steps[bool]:
        owner = None if user_id is None else str(user_id)
        result = yield from x.trip("end", session_id, reason, user_id=owner)
        if not (isinstance(result, Ended) and result.fresh):
            return False
        self._emit(ev.SessionFinished(session_id=session_id, user_id=result.user_id, reason=reason))
        return True

    def _revoke_user(
        self, x: Exchange, user_id: object, except_id: str | None, reason: EndReason
    ) -> Steps[int]:
        user = str(user_id)
        tag = self.runtime.desk.tag(user)
        result = yield from x.trip("end_user", tag, reason, except_id=except_id)
        self._emit(ev.UserFinished(user_id=user, reason=reason, count=result.ended))
        return int(result.ended)

    def _emit(self, event: ev.Event) -> None:
        if self.runtime.events:
            self.runtime.events.emit(event)

    def _open(self, x: Exchange, session_id: str) -> Steps[None]:
        """Let the exchange stand on a stored record without anybody's token."""
        found = yield from x.trip("load", session_id)
        alive = (
            isinstance(found, Live)
            and x.genuine(found.record)
            and found.now < x.rules.not_after(found.record)
            and x.stand_on(found.record)
        )
        if not alive:
            raise SessionEnded(f"session {session_id} is not alive")
        x.started = True


class SessionManager(_Management):
    """The blocking manager.

    Args:
        sessions: `SessionSettings`, or another manager to share its pool and memory store.
        listeners: called with every event of this deployment.

    Raises:
        StoreUnavailable: by every call: the store failed, or did not answer within
            `store_timeout`. After three failures in a row, of requests or managers, it is raised
            at once for a second, so that a job's loop does not wait out one timeout after the
            other; wait a little between tries. `create_tables` alone asks the store every time,
            and waits for up to 30 seconds.
        StoreConflict: by `open`, at the end: other writers left no time for the changes.
    """

    @property
    def _x(self) -> Exchange:
        return self._exchange(self.runtime.blocking)

    @property
    def store(self) -> Any:
        """The blocking store."""
        return self.runtime.blocking.store

    @property
    def capabilities(self) -> Capabilities:
        """What the store keeps of the promises."""
        found: Capabilities = self.store.capabilities
        return found

    def sessions_of(
        self, user_id: object, limit: int = 100, cursor: str | None = None
    ) -> Page[SessionInfo]:
        """Live sessions of a user, for display; at most `limit` and a cursor for more."""
        return drive(self._sessions_of(self._x, user_id, limit, cursor))

    def get(self, session_id: str) -> SessionInfo | None:
        """One live session by its public id, None when there is none."""
        return drive(self._get(self._x, session_id))

    def end_of(self, session_id: str) -> EndReason | None:
        """Why a session is over, None while it lives; "gone" when nothing is known of it, or not
        any more."""
        return drive(self._end_of(self._x, session_id))

    def revoke(
        self,
        session_id: str,
        *,
        user_id: object = None,
        reason: EndReason = EndReason.REVOKED,
    ) -> bool:
        """End one session; True if this call ended it. With `user_id`: only that user's."""
        return drive(self._revoke(self._x, session_id, user_id, reason))

    def revoke_user(
        self,
        user_id: object,
        *,
        except_id: str | None = None,
        reason: EndReason = EndReason.REVOKED,
    ) -> int:
        """End all sessions of a user, logins under way included; how many were live (≤ 1,000)."""
        return drive(self._revoke_user(self._x, user_id, except_id, reason))

    def stats(self) -> StoreStats:
        """Counts, where the engine knows them without a scan."""
        found: StoreStats = drive(self._x.trip("stats"))
        return found

    def purge_expired(self, limit: int = 1000) -> int:
        """Remove up to `limit` records past their retention; how many went."""
        return int(drive(self._x.trip("purge_expired", limit)))

    def create_tables(self) -> None:
        """Create what the engine needs before first use; harmless when it is there."""
        self.store.create_tables()

    def close(self) -> None:
        """Release the store's connections."""
        self.store.close()

    @contextmanager
    def open(self, session_id: str) -> Iterator[Session]:
        """A session to write to from a job: merged like any commit, not activity. Where the job
        fails its changes are dropped, a logout holds.

        Raises:
            SessionEnded: there is no such live session.
        """
        driver = self.runtime.blocking
        x = self._exchange(driver)
        drive(self._open(x, session_id))
        try:
            yield Session(x, driver, None)
        except BaseException:
            with _logged():
                driver.commit(x, failed=True)
            raise
        driver.commit(x)


class AsyncSessionManager(_Management):
    """The asyncio manager; the same names as `SessionManager`, awaited."""

    @property
    def _x(self) -> Exchange:
        return self._exchange(self.runtime.asynchronous)

    @property
    def store(self) -> Any:
        """The asyncio store."""
        return self.runtime.asynchronous.store

    @property
    def capabilities(self) -> Capabilities:
        """What the store keeps of the promises."""
        found: Capabilities = self.store.capabilities
        return found

    async def sessions_of(
        self, user_id: object, limit: int = 100, cursor: str | None = None
    ) -> Page[SessionInfo]:
        """See `SessionManager.sessions_of`."""
        return await adrive(self._sessions_of(self._x, user_id, limit, cursor))

    async def get(self, session_id: str) -> SessionInfo | None:
        """See `SessionManager.get`."""
        return await adrive(self._get(self._x, session_id))

    async def end_of(self, session_id: str) -> EndReason | None:
        """See `SessionManager.end_of`."""
        return await adrive(self._end_of(self._x, session_id))

    async def revoke(
        self,
        session_id: str,
        *,
        user_id: object = None,
        reason: EndReason = EndReason.REVOKED,
    ) -> bool:
        """See `SessionManager.revoke`."""
        return await adrive(self._revoke(self._x, session_id, user_id, reason))

    async def revoke_user(
        self,
        user_id: object,
        *,
        except_id: str | None = None,
        reason: EndReason = EndReason.REVOKED,
    ) -> int:
        """See `SessionManager.revoke_user`."""
        return await adrive(self._revoke_user(self._x, user_id, except_id, reason))

    async def stats(self) -> StoreStats:
        """See `SessionManager.stats`."""
        found: StoreStats = await adrive(self._x.trip("stats"))
        return found

    async def purge_expired(self, limit: int = 1000) -> int:
        """See `SessionManager.purge_expired`."""
        return int(await adrive(self._x.trip("purge_expired", limit)))

    async def create_tables(self) -> None:
        """See `SessionManager.create_tables`."""
        await self.store.create_tables()

    async def close(self) -> None:
        """See `SessionManager.close`."""
        await self.store.close()

    @asynccontextmanager
    async def open(self, session_id: str) -> AsyncIterator[Session]:
        """See `SessionManager.open`."""
        driver = self.runtime.asynchronous
        x = self._exchange(driver)
        await adrive(self._open(x, session_id))
        try:
            yield Session(x, None, driver)
        except BaseException:
            with _logged():
                await driver.commit(x, failed=True)
            raise
        await driver.commit(x)


@contextmanager
def _logged() -> Iterator[None]:
    """The job's own error is the one to raise."""
    try:
        yield
    except SessionError:
        ev.logger.exception("a logout of a failed job could not be stored")
