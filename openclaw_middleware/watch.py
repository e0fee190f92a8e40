"""Know when a session ends while somebody holds it open: a socket, a stream.

One watch per event loop serves all holders: it listens where the store announces, else asks at
intervals, and it minds both deadlines. An announcement is a hint; the record is loaded before
anybody is told. Nothing here knows ASGI; what a holder does at the end is its own business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import Any

from .core.contract import Ended, Live, Loaded
from .core.desk import Desk
from .core.events import logger
from .core.follow import MAX_CHAIN
from .core.record import EndReason, Record, tag_of
from .errors import StoreError
from .watch_hearing import Hearing
from .watched import Holder, Watched

# Where the store announces, everything is asked all the same, this many poll intervals apart.
SAFETY = 12
# Sessions asked about at once: the rest of the pool is for requests.
TOGETHER = 4


class Watch:
    """All sessions held open in one event loop.

    Args:
        store: the asyncio store.
        interval: seconds between two rounds of asking, where nothing is announced.
    """

    def __init__(self, store: Any, desk: Desk, interval: float) -> None:
        self._store = store
        self._desk = desk
        self._interval = interval
        self._sessions: dict[str, Watched] = {}
        self._held: dict[Holder, Watched] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._asked: list[asyncio.Task[bool]] = []
        self._wake = asyncio.Event()
        # Hints come before the round, in the order they came in.
        self._hinted: dict[Watched, None] = {}
        self._round: dict[Watched, None] = {}
        self._round_at = 0.0
        self._hearing = self._new_hearing()

    def _new_hearing(self) -> Hearing:
        return Hearing(self._store, self._heard, lambda: self._come_round(self._interval))

    # -- holders

    def join(
        self, holder: Holder, record: Record, now: float, *, used_at: float | None = None
    ) -> None:
        """Watch the record for this holder; it is looked at anew, since it may have ended already.

        Args:
            now: the store's time.
            used_at: when its person last used it, by the monotonic clock; written down if it is
                time to.
        """
        watched = self._sessions.get(record.id)
        if watched is None:
            watched = self._sessions[record.id] = Watched(record)
            watched.see(record, now, self._desk)
            self._hint(watched)
        watched.holders.add(holder)
        self._held[holder] = watched
        self._start()
        if used_at is not None:
            self.use(holder, used_at)

    async def leave(self, holder: Holder) -> None:
        """Stop watching for this holder, with its activity written down; with the last one
        everything here ends."""
        watched = self._held.pop(holder, None)
        try:
            if watched is not None:
                watched.holders.discard(holder)
                if not watched.holders:
                    self._forget(watched)
                    await self._settle(watched)
        finally:
            if not self._held:
                await self._stop()

    def use(self, holder: Holder, at: float) -> None:
        """Its person used it: written down soon, at most once per touch interval.

        Args:
            at: when, by the monotonic clock.
        """
        watched = self._held.get(holder)
        if watched is None or at < watched.touch_from:
            return
        if watched.used_at is None:
            self._hint(watched)
        watched.used_at = at

    async def _settle(self, watched: Watched) -> None:
        if watched.used_at is not None:
            try:
                await self._look(watched)
            except StoreError as error:
                logger.warning("session %s was used, but not touched: %s", watched.record.id, error)

    def _forget(self, watched: Watched) -> None:
        if self._sessions.get(watched.record.id) is watched:
            del self._sessions[watched.record.id]
        self._hinted.pop(watched, None)
        self._round.pop(watched, None)

    def _start(self) -> None:
        if self._tasks:
            return
        self._round_at = asyncio.get_running_loop().time() + self._interval
        # The one before may still be closing its connection.
        self._hearing = self._new_hearing()
        bodies = [self._ask()]
        if self._store.capabilities.announces:
            bodies.append(self._hearing.run())
        # Not in the context of the request that happened to be the first.
        self._tasks = [asyncio.create_task(body, context=Context()) for body in bodies]

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        # What is being asked is waited for: broken off, it would cost a connection.
        if tasks or self._asked:
            await asyncio.wait([*tasks, *self._asked])

    # -- listening

    def _heard(self, name: str | None) -> None:
        if name is not None and "." in name:
            if name in self._sessions:
                self._hint(self._sessions[name])
            return
        if name is None:
            # What ended before was not heard, so everything is asked about now, and what is heard
            # of meanwhile before the rest.
            self._round_at = asyncio.get_running_loop().time() + self._interval * SAFETY
            self._round = dict.fromkeys(self._sessions.values())
            self._wake.set()
            return
        for watched in self._sessions.values():
            if watched.record.tag == name:
                self._hint(watched)

    def _hint(self, watched: Watched) -> None:
        self._hinted[watched] = None
        self._wake.set()

    # -- asking

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        tick = 0.0
        while True:
            self._wake.clear()
            if loop.time() >= tick:
                tick = loop.time() + self._gather()
            batch = self._next()
            self._asked = [loop.create_task(self._judge(each)) for each in batch]
            if not self._asked:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(tick):
                        await self._wake.wait()
                continue
            await asyncio.wait(self._asked)
            answers = zip(batch, self._asked, strict=True)
            failed = [watched for watched, task in answers if not task.result()]
            if failed:
                self._postpone(failed)
            if len(failed) == len(batch):
                self._give_up_round()
                tick = loop.time() + self._interval

    def _gather(self) -> float:
        """Put into the round what is due; seconds until there may be more."""
        now = self._desk.monotonic()
        if asyncio.get_running_loop().time() >= self._round_at:
            self._round = dict.fromkeys(self._sessions.values())
            self._round_at = float("inf")
            self._come_round(self._interval * (SAFETY if self._hearing.hears else 1))
        soon = self._interval
        for watched in self._sessions.values():
            if now >= watched.deadline:
                self._round[watched] = None
            else:
                soon = min(soon, watched.deadline - now)
        return soon

    def _come_round(self, seconds: float) -> None:
        """Ask about everything within so many seconds."""
        self._round_at = min(self._round_at, asyncio.get_running_loop().time() + seconds)

    def _next(self) -> list[Watched]:
        some: dict[Watched, None] = {}
        for queue in (self._hinted, self._round):
            while queue and len(some) < TOGETHER:
                watched = next(iter(queue))
                del queue[watched]
                some[watched] = None
        return list(some)

    def _postpone(self, failed: list[Watched]) -> None:
        """Ask again in the next round, behind all the others, which may do better."""
        for watched in failed:
            if self._sessions.get(watched.record.id) is watched:
                self._sessions[watched.record.id] = self._sessions.pop(watched.record.id)
        self._come_round(self._interval)

    def _give_up_round(self) -> None:
        """The store is away: that ends no session, but none outlives its absolute deadline. What
        was hinted at is asked about all the same."""
        waiting = [*self._hinted, *self._round]
        self._round.clear()
        for watched in waiting:
            self._without_store(watched)

    def _without_store(self, watched: Watched) -> None:
        if watched.holders and self._desk.monotonic() >= watched.absolute:
            self._end(watched, EndReason.ABSOLUTE)

    async def _judge(self, watched: Watched) -> bool:
        """Look at the record, writing activity down on the way; False when the store is away."""
        try:
            self._conclude(watched, await self._follow(watched.record, await self._look(watched)))
        except Exception as error:
            if not isinstance(error, StoreError):
                logger.exception("session %s cannot be looked at", watched.record.id)
            self._without_store(watched)
            return False
        return True

    def _conclude(self, watched: Watched, found: Loaded) -> None:
        if not watched.holders:
            return
        if not isinstance(found, Live):
            self._end(watched, found.reason if isinstance(found, Ended) else EndReason.GONE)
            return
        record, rules = found.record, self._desk.rules
        if found.now >= rules.not_after(record):
            late = found.now >= record.started + rules.limits_of(record).absolute
            self._end(watched, EndReason.ABSOLUTE if late else EndReason.IDLE)
        else:
            if record.id != watched.record.id:
                watched = self._move(watched, record)
            watched.see(record, found.now, self._desk)

    async def _look(self, watched: Watched) -> Loaded:
        record, now = watched.record, self._desk.monotonic()
        used_at, watched.used_at = watched.used_at, None
        if used_at is None or now >= watched.deadline:
            found: Loaded = await self._store.load(record.id)
            return found
        rules = self._desk.rules
        absolute = record.started + rules.limits_of(record).absolute
        # What comes while the store is being told comes within the next interval.
        watched.touch_from = now + rules.touch_every(record)
        try:
            found = await self._store.touch(record.id, not_after=absolute, ago=now - used_at)
        except BaseException:
            watched.used_at, watched.touch_from = used_at, used_at
            raise
        if isinstance(found, Live):
            for holder in watched.holders:
                holder.session_used(found.record.last_active_at)
        return found

    async def _follow(self, mine: Record, found: Loaded) -> Loaded:
        """What became of a session that gave way to the same user's next one."""
        for _ in range(MAX_CHAIN):
            if not isinstance(found, Ended) or found.reason is not EndReason.REPLACED:
                break
            heir = found.successor
            if heir is None or tag_of(heir) != mine.tag:
                break
            further: Loaded = await self._store.load(heir)
            if isinstance(further, Live) and not self._same_user(mine, further.record):
                break
            found = further
        return found

    def _same_user(self, mine: Record, other: Record) -> bool:
        return mine.user_id == other.user_id and self._desk.tag(other.user_id) == other.tag

    def _move(self, watched: Watched, record: Record) -> Watched:
        """Go on with the successor, which others may be holding already."""
        self._forget(watched)
        heir = self._sessions.setdefault(record.id, Watched(record))
        for holder in watched.holders:
            heir.holders.add(holder)
            self._held[holder] = heir
        watched.holders = set()
        return heir

    def _end(self, watched: Watched, reason: EndReason) -> None:
        self._forget(watched)
        holders, watched.holders = watched.holders, set()
        for holder in holders:
            self._held.pop(holder, None)
            try:
                holder.session_ended(reason)
            except Exception:  # the others have to be told, and the next sessions asked about
                logger.exception("a holder of session %s failed at its end", watched.record.id)


class Watches:
    """The watch of each running loop, made when first asked for."""

    def __init__(self) -> None:
        self._known: dict[asyncio.AbstractEventLoop, Watch] = {}

    def here(self, make: Callable[[], Watch]) -> Watch:
        """The watch of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._known:
            for other in [each for each in self._known if each.is_closed()]:
                self._known.pop(other, None)
            self._known[loop] = make()
        return self._known[loop]
