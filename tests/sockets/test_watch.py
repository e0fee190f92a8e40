"""The watch by itself: what it asks, what it concludes, and what it leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import pytest

from openclaw_middleware import EndReason, SessionSettings
from openclaw_middleware.core.contract import Live
from openclaw_middleware.core.record import Record
from openclaw_middleware.core.steps import adrive
from openclaw_middleware.errors import StoreUnavailable
from openclaw_middleware.runtime import make_desk
from openclaw_middleware.stores.base import AsyncStore, Heard, StoreOptions
from openclaw_middleware.stores.memory import AsyncMemoryStore
from openclaw_middleware.testing import Clock, Counting, Gate, wrap
from openclaw_middleware.testing.conformance_bench import Bench
from openclaw_middleware.watch import SAFETY, TOGETHER, Watch, Watches
from openclaw_middleware.watch_hearing import FIRST_RETRY, LAST_RETRY, Hearing
from tests.sockets.test_activity import Away

pytestmark = pytest.mark.filterwarnings("error")

NEVER = 3600.0
CURRENT: ContextVar[str] = ContextVar("current", default="nobody")


class Holder:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[EndReason] = []
        self.used: list[float] = []

    def session_ended(self, reason: EndReason) -> None:
        self.told.append(reason)

    def session_used(self, last_active_at: float) -> None:
        self.used.append(last_active_at)


class Memory(AsyncMemoryStore):
    """A memory store that can be made deaf, silent or dumb.

    Attributes:
        loses: announcements that are not passed on.
        breaks: set it to let whoever listens lose the connection.
        listeners: how many listen at the moment, and how many ever did.
    """

    def __init__(self, options: StoreOptions) -> None:
        super().__init__(options)
        self.loses = False
        self.refuses = False
        self.listening = self.ever = 0
        self.breaks = asyncio.Event()

    async def listen(self, heard: Heard) -> None:
        if self.refuses:
            raise StoreUnavailable("nobody may listen")

        def maybe(name: str | None) -> None:
            if name is None or not self.loses:
                heard(name)

        self.ever += 1
        self.listening += 1
        listening = asyncio.ensure_future(super().listen(maybe))
        try:
            await self.breaks.wait()
            self.breaks.clear()
        finally:
            self.listening -= 1
            listening.cancel()
            await asyncio.wait([listening])
        raise StoreUnavailable("the connection broke")


class Lab:
    """A watch on a memory store whose time stands still and which may be away."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.memory = Memory(StoreOptions(clock=self.clock))
        self.away, self.trips = Away(), Counting()
        self.store: AsyncStore = wrap(self.memory, self.away, self.trips)
        self.desk = make_desk(SessionSettings.for_tests(), wall=self.clock, monotonic=self.clock)
        self.bench = Bench(lambda colour, options: self.memory, "async", self.clock)
        self.bench._store = self.memory
        self.watches: list[Watch] = []

    def watch(self, interval: float = NEVER) -> Watch:
        self.watches.append(Watch(self.store, self.desk, interval))
        return self.watches[-1]

    async def record(self, user: str | None = "ada", **fields: Any) -> Record:
        record = await adrive(self.bench.draft(user, **fields))
        if user is not None:
            tag = self.desk.tag(user)
            record = replace(record, id=tag + "." + record.id.partition(".")[2])
        await self.memory.create(record)
        found = await self.memory.load(record.id)
        assert isinstance(found, Live)
        return found.record

    async def held(self, watch: Watch, record: Record) -> Holder:
        """A holder of the record, when everything about it has been asked."""
        holder = Holder()
        watch.join(holder, record, self.clock())
        await self.calm(watch)
        return holder

    def break_for(self, records: list[Record]) -> None:
        """From now on these cannot be loaded."""
        load, broken = self.memory.load, {record.id for record in records}

        async def sometimes(session_id: str) -> Any:
            if session_id in broken:
                raise StoreUnavailable("its shard is down")
            return await load(session_id)

        self.memory.load = sometimes  # type: ignore[method-assign]

    async def calm(self, watch: Watch) -> None:
        await until(lambda: watch._hearing.hears or self.memory.refuses)
        await until(lambda: not watch._hinted and not watch._round)
        for _ in range(5):
            await asyncio.sleep(0)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110  # what is waited for knows of no event
            await asyncio.sleep(0.001)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    lab = Lab()
    yield lab
    for watch in lab.watches:
        for holder in list(watch._held):
            await watch.leave(holder)
        await watch._stop()
        assert not watch._sessions
    assert [
        task
        for task in asyncio.all_tasks()
        if "Watch." in str(task.get_coro()) or "Hearing." in str(task.get_coro())
    ] == []
    assert lab.memory.listening == 0


class TestHearing:
    async def test_nothing_is_asked_while_nothing_is_heard(self, lab: Lab) -> None:
        watch = lab.watch()
        await lab.held(watch, await lab.record())
        lab.trips.reset()
        other = await lab.record("bob")
        await lab.memory.end(other.id, EndReason.REVOKED)
        await lab.memory.end_user(other.tag, EndReason.REVOKED)
        await lab.calm(watch)
        assert lab.trips.total == 0

    async def test_a_hint_is_verified(self, lab: Lab) -> None:
        """A wrong one costs a trip and ends nothing."""
        watch = lab.watch()
        record = await lab.record()
        holder = await lab.held(watch, record)
        lab.trips.reset()
        for name in (record.id, record.tag, "x.y", "", ".", "no such tag"):
            lab.memory.state.announce(name)
            await lab.calm(watch)
        assert holder.told == []
        assert dict(lab.trips.trips) == {"load": 2}

    async def test_log_out_everywhere_but_here(self, lab: Lab) -> None:
        watch = lab.watch()
        here, there = await lab.record(), await lab.record()
        kept, ended = await lab.held(watch, here), await lab.held(watch, there)
        await lab.memory.end_user(here.tag, EndReason.SIGNED_OUT, except_id=here.id)
        await until(lambda: ended.told)
        await lab.calm(watch)
        assert ended.told == [EndReason.SIGNED_OUT]
        assert kept.told == []

    async def test_nothing_of_the_first_request_stays_with_it(self, lab: Lab) -> None:
        """The watch goes on when that request is long over."""
        seen: list[str] = []
        load = lab.memory.load

        async def noting(session_id: str) -> Any:
            seen.append(CURRENT.get())
            return await load(session_id)

        lab.memory.load = noting  # type: ignore[method-assign]
        watch = lab.watch()
        record = await lab.record()
        CURRENT.set("the first request")
        seen.clear()
        await lab.held(watch, record)
        assert seen
        assert set(seen) == {"nobody"}

    async def test_every_holder_is_told_once(self, lab: Lab) -> None:
        watch = lab.watch()
        record = await lab.record()
        holders = [await lab.held(watch, record) for _ in range(5)]
        await watch.leave(holders.pop(2))
        await lab.memory.end(record.id, EndReason.REVOKED)
        await lab.memory.end_user(record.tag, EndReason.SIGNED_OUT)
        lab.memory.state.announce(record.id)
        await until(lambda: all(holder.told for holder in holders))
        await lab.calm(watch)
        assert [holder.told for holder in holders] == [[EndReason.REVOKED]] * 4

    async def test_a_lost_announcement_is_noticed_by_the_round(self, lab: Lab) -> None:
        """Later than where nothing is announced at all, but within the safety interval."""
        lab.memory.loses = True
        watch = lab.watch(interval=0.03)
        record = await lab.record()
        holder = await lab.held(watch, record)
        loop = asyncio.get_running_loop()
        asked = lab.trips.trips["load"]
        await until(lambda: lab.trips.trips["load"] >= asked + 3)  # one round after another
        await lab.memory.end(record.id, EndReason.REVOKED)
        began = loop.time()
        await until(lambda: holder.told)
        assert loop.time() - began < SAFETY * 0.03 + 1
        assert holder.told == [EndReason.REVOKED]

    async def test_a_broken_connection_is_made_again_and_everything_asked(self, lab: Lab) -> None:
        lab.memory.loses = True
        watch = lab.watch()
        record = await lab.record()
        holder = await lab.held(watch, record)
        await lab.memory.end(record.id, EndReason.REVOKED)
        await lab.calm(watch)
        assert holder.told == []
        lab.memory.breaks.set()
        await until(lambda: holder.told)
        assert lab.memory.ever == 2

    async def test_where_nobody_may_listen_it_asks(
        self, lab: Lab, caplog: pytest.LogCaptureFixture
    ) -> None:
        lab.memory.refuses = True
        watch = lab.watch(interval=0.05)
        record = await lab.record()
        holder = await lab.held(watch, record)
        asked = lab.trips.trips["load"]
        await until(lambda: lab.trips.trips["load"] >= asked + 3)
        await lab.memory.end(record.id, EndReason.REVOKED)
        await until(lambda: holder.told)
        assert len(caplog.records) == 1
        assert "nobody may listen" in caplog.text

    async def test_where_nobody_may_listen_any_more_it_asks(self, lab: Lab) -> None:
        """As often as if it had never been able to, not as where it listens."""
        watch = lab.watch(interval=0.5)
        record = await lab.record()
        holder = await lab.held(watch, record)
        lab.memory.refuses = True
        lab.memory.breaks.set()
        await until(lambda: lab.memory.listening == 0)
        await lab.memory.end(record.id, EndReason.REVOKED)
        began = asyncio.get_running_loop().time()
        await until(lambda: holder.told)
        assert asyncio.get_running_loop().time() - began < SAFETY * 0.5 / 2
        assert not watch._hearing.hears

    async def test_after_a_break_what_is_heard_of_comes_before_the_rest(self, lab: Lab) -> None:
        """With many sessions, asking about everything takes its time."""
        watch = lab.watch()
        records = [await lab.record(f"user{n}") for n in range(10 * TOGETHER)]
        holders = [await lab.held(watch, record) for record in records]
        load, held_up = lab.memory.load, asyncio.Event()
        asked: list[str] = []

        async def slow(session_id: str) -> Any:
            asked.append(session_id)
            await held_up.wait()
            return await load(session_id)

        lab.memory.load = slow  # type: ignore[method-assign]
        lab.memory.breaks.set()
        await until(lambda: len(asked) == TOGETHER)
        await lab.memory.end(records[-1].id, EndReason.REVOKED)
        await until(lambda: watch._hinted)
        held_up.set()
        await until(lambda: holders[-1].told)
        assert records[-1].id in asked[: 2 * TOGETHER]

    @pytest.mark.parametrize("lasts", [False, True])
    async def test_a_connection_that_never_lasts_is_made_less_and_less_often(
        self, lasts: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each time everything is asked about."""
        clock, waits = Clock(), []
        monkeypatch.setattr(asyncio.get_running_loop(), "time", clock)

        class Flapping:
            async def listen(self, heard: Heard) -> None:
                heard(None)
                clock.advance(LAST_RETRY if lasts else 0.1)

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 9:
                raise asyncio.CancelledError

        monkeypatch.setattr(asyncio, "sleep", sleep)
        hearing = Hearing(Flapping(), lambda name: None, lambda: None)
        with pytest.raises(asyncio.CancelledError):
            await hearing.run()
        assert waits[0] <= FIRST_RETRY
        if lasts:
            assert max(waits) <= FIRST_RETRY
        else:
            assert LAST_RETRY / 2 <= waits[-1] <= LAST_RETRY

    async def test_one_listener_for_all_and_none_without(self, lab: Lab) -> None:
        watch = lab.watch()
        holders = [await lab.held(watch, await lab.record(f"user{n}")) for n in range(50)]
        assert (lab.memory.listening, lab.memory.ever) == (1, 1)
        for holder in holders:
            await watch.leave(holder)
        assert lab.memory.listening == 0
        assert watch._tasks == []
        again = await lab.held(watch, await lab.record())
        assert (lab.memory.listening, lab.memory.ever) == (1, 2)
        await watch.leave(again)


class TestDeadlines:
    @pytest.mark.parametrize("reason", [EndReason.IDLE, EndReason.ABSOLUTE])
    async def test_a_deadline_ends_it(self, lab: Lab, reason: EndReason) -> None:
        watch = lab.watch(interval=0.5)
        limits = {"idle_timeout": 100.0, "absolute_timeout": 1000.0}
        if reason is EndReason.ABSOLUTE:
            limits["idle_timeout"] = 1000.0
        record = await lab.record(**limits)
        holder = await lab.held(watch, record)
        lab.trips.reset()
        lab.clock.advance(record.deadline - lab.clock() - 1)
        await asyncio.sleep(0.6)  # it has looked at the clock, and it is a second before the time
        assert lab.trips.total == 0
        assert holder.told == []
        lab.clock.advance(1)
        began = asyncio.get_running_loop().time()
        await until(lambda: holder.told)
        assert holder.told == [reason]
        # Long before everything is asked again.
        assert asyncio.get_running_loop().time() - began < SAFETY * 0.5 / 2

    async def test_another_requests_activity_puts_it_off(self, lab: Lab) -> None:
        watch = lab.watch(interval=0.02)
        record = await lab.record(idle_timeout=100.0)
        holder = await lab.held(watch, record)
        lab.clock.advance(60)
        await lab.memory.touch(record.id)
        lab.clock.advance(60)
        await until(lambda: watch._held[holder].deadline > lab.clock())
        assert holder.told == []
        lab.clock.advance(40)
        await until(lambda: holder.told)
        assert holder.told == [EndReason.IDLE]

    async def test_a_limit_that_is_configured_smaller_counts(self, lab: Lab) -> None:
        watch = lab.watch(interval=0.02)
        record = await lab.record(idle_timeout=10000.0, policy="default")
        holder = await lab.held(watch, record)
        lab.clock.advance(1800)
        watch.use(holder, lab.clock())  # too late: it must not be brought back by it
        await until(lambda: holder.told)
        assert holder.told == [EndReason.IDLE]


class TestLeaving:
    async def test_the_last_message_counts(self, lab: Lab) -> None:
        """It came just before the socket was closed."""
        watch = lab.watch()
        record = await lab.record()
        holder = await lab.held(watch, record)
        lab.clock.advance(1000)
        watch.use(holder, lab.clock())
        await watch.leave(holder)
        found = await lab.memory.load(record.id)
        assert isinstance(found, Live)
        assert found.record.last_active_at == lab.clock()
        lab.clock.advance(100)
        again = await lab.held(watch, found.record)
        lab.trips.reset()
        await watch.leave(again)
        assert lab.trips.total == 0

    async def test_it_is_no_matter_that_the_store_is_away(
        self, lab: Lab, caplog: pytest.LogCaptureFixture
    ) -> None:
        watch = lab.watch()
        holder = await lab.held(watch, await lab.record())
        lab.clock.advance(1000)
        lab.away.on = True
        watch.use(holder, lab.clock())
        await watch.leave(holder)
        assert "was used, but not touched" in caplog.text
        assert watch._tasks == []

    async def test_what_is_being_asked_is_not_broken_off(self, lab: Lab) -> None:
        gate = Gate("touch")
        lab.store = wrap(lab.store, gate)
        watch = lab.watch()
        record = await lab.record()
        holder = await lab.held(watch, record)
        lab.clock.advance(1000)
        watch.use(holder, lab.clock())
        await gate.reached()
        leaving = asyncio.ensure_future(watch.leave(holder))
        await asyncio.sleep(0.01)
        assert not leaving.done()
        gate.open()
        await leaving
        found = await lab.memory.load(record.id)
        assert isinstance(found, Live)
        assert found.record.last_active_at == lab.clock()
        assert lab.trips.trips["touch"] == 1


class TestOutage:
    async def test_it_is_not_a_logout(self, lab: Lab) -> None:
        watch = lab.watch(interval=0.02)
        record = await lab.record(idle_timeout=100.0)
        holder = await lab.held(watch, record)
        lab.away.on = True
        lab.memory.refuses = True
        lab.memory.breaks.set()
        lab.clock.advance(99)
        lab.memory.state.announce(record.id)
        await until(lambda: lab.away.refused > 5)
        assert holder.told == []
        lab.away.on = lab.memory.refuses = False
        lab.trips.reset()
        await until(lambda: watch._hearing.hears)
        await lab.memory.end(record.id, EndReason.REVOKED)
        await until(lambda: holder.told)
        assert holder.told == [EndReason.REVOKED]

    async def test_an_idle_deadline_waits_for_the_store(self, lab: Lab) -> None:
        """Somebody may have put it off."""
        watch = lab.watch(interval=0.02)
        record = await lab.record(idle_timeout=100.0, absolute_timeout=1000.0)
        holder = await lab.held(watch, record)
        lab.away.on = True
        lab.clock.advance(101)
        await until(lambda: lab.away.refused > 3)
        assert holder.told == []
        lab.away.on = False
        await until(lambda: holder.told)
        assert holder.told == [EndReason.IDLE]

    async def test_the_absolute_deadline_does_not(self, lab: Lab) -> None:
        """However many are waiting: with the first refusal the others are not asked about."""
        watch = lab.watch(interval=0.02)
        records = [
            await lab.record(f"user{n}", idle_timeout=1000.0, absolute_timeout=1000.0)
            for n in range(20)
        ]
        holders = [await lab.held(watch, record) for record in records]
        lab.away.on = True
        lab.clock.advance(1000)
        await until(lambda: all(holder.told for holder in holders))
        assert {reason for holder in holders for reason in holder.told} == {EndReason.ABSOLUTE}
        assert lab.away.refused < 10

    @pytest.mark.parametrize("broken", [1, 2 * TOGETHER])
    async def test_sessions_that_cannot_be_asked_about_hold_up_no_others(
        self, lab: Lab, broken: int
    ) -> None:
        """However many come first."""
        lab.memory.loses = True
        watch = lab.watch(interval=0.02)
        records = [await lab.record(f"user{n}") for n in range(broken + 6)]
        holders = [await lab.held(watch, record) for record in records]
        lab.break_for(records[:broken])
        await lab.memory.end(records[-1].id, EndReason.REVOKED)
        await until(lambda: holders[-1].told)
        assert [holder.told for holder in holders[:-1]] == [[]] * (len(holders) - 1)

    async def test_hints_are_not_lost_with_those_that_fail(self, lab: Lab) -> None:
        watch = lab.watch()  # no round comes to help
        records = [await lab.record(f"user{n}") for n in range(TOGETHER + 6)]
        holders = [await lab.held(watch, record) for record in records]
        lab.break_for(records[:TOGETHER])
        for record in records:
            await lab.memory.end(record.id, EndReason.REVOKED)
        await until(lambda: all(holder.told for holder in holders[TOGETHER:]))
        assert [holder.told for holder in holders[:TOGETHER]] == [[]] * TOGETHER

    @pytest.mark.parametrize("away", [False, True])
    async def test_a_holder_that_fails_at_the_end_stops_nothing(
        self, lab: Lab, caplog: pytest.LogCaptureFixture, away: bool
    ) -> None:
        watch = lab.watch(interval=0.02)
        limits = {"idle_timeout": 1000.0, "absolute_timeout": 1000.0}
        first, other = await lab.record(**limits), await lab.record("bob")
        failing, second = await lab.held(watch, first), await lab.held(watch, first)
        holder = await lab.held(watch, other)

        def fail(reason: EndReason) -> None:
            raise RuntimeError("no end")

        failing.session_ended = fail  # type: ignore[method-assign]
        if away:
            lab.away.on = True
            lab.clock.advance(1000)
        else:
            await lab.memory.end(first.id, EndReason.REVOKED)
        await until(lambda: second.told)
        assert "no end" in caplog.text
        lab.away.on = False
        await lab.memory.end(other.id, EndReason.REVOKED)
        await until(lambda: holder.told)

    async def test_an_error_that_is_nobodys_stops_nothing(
        self, lab: Lab, caplog: pytest.LogCaptureFixture
    ) -> None:
        watch = lab.watch(interval=0.02)
        record = await lab.record()
        holder = await lab.held(watch, record)
        load = lab.memory.load

        async def broken(session_id: str) -> Any:
            raise LookupError("broken")

        lab.memory.load = broken  # type: ignore[method-assign]
        lab.memory.state.announce(record.id)
        await until(lambda: caplog.records)
        lab.memory.load = load  # type: ignore[method-assign]
        await lab.memory.end(record.id, EndReason.REVOKED)
        await until(lambda: holder.told)


class TestSuccession:
    async def succeed(self, lab: Lab, old: Record, user: str | None = "ada") -> Record:
        draft = await adrive(lab.bench.draft(user))
        if user is not None:
            draft = replace(draft, id=lab.desk.tag(user) + "." + draft.id.partition(".")[2])
        await lab.memory.succeed(old.id, old.version, draft)
        found = await lab.memory.load(draft.id)
        assert isinstance(found, Live)
        return found.record

    async def test_it_goes_on_with_the_same_users(self, lab: Lab) -> None:
        watch = lab.watch()
        first = await lab.record()
        holder = await lab.held(watch, first)
        second = await self.succeed(lab, first)
        # Another socket holds the successor already when the first one comes to it.
        other = Holder()
        watch.join(other, second, lab.clock())
        await lab.calm(watch)
        assert set(watch._sessions) == {second.id}
        third = await self.succeed(lab, second)
        await lab.calm(watch)
        assert set(watch._sessions) == {third.id}
        lab.clock.advance(1000)
        watch.use(holder, lab.clock())
        await until(lambda: holder.used)
        assert other.used == holder.used == [lab.clock()]
        await lab.memory.end(third.id, EndReason.REVOKED)
        await until(lambda: other.told)
        assert other.told == holder.told == [EndReason.REVOKED]

    async def test_it_tells_the_successors_reason(self, lab: Lab) -> None:
        lab.memory.loses = True
        watch = lab.watch(interval=0.02)
        first = await lab.record()
        holder = await lab.held(watch, first)
        second = await self.succeed(lab, first)
        await lab.memory.end(second.id, EndReason.REVOKED)
        await until(lambda: holder.told)
        assert holder.told == [EndReason.REVOKED]

    async def test_a_visitors_successor_of_no_user(self, lab: Lab) -> None:
        watch = lab.watch()
        first = await lab.record(None)
        holder = await lab.held(watch, first)
        second = await self.succeed(lab, first, None)
        await until(lambda: second.id in watch._sessions)
        assert holder.told == []

    async def test_a_visitor_who_leaves_with_a_farewell_has_left(self, lab: Lab) -> None:
        """`logout()` with something written afterwards has a successor, too."""
        watch = lab.watch()
        first = await lab.record(None)
        holder = await lab.held(watch, first)
        draft = await adrive(lab.bench.draft(None))
        await lab.memory.succeed(first.id, first.version, draft, reason=EndReason.SIGNED_OUT)
        await until(lambda: holder.told)
        assert holder.told == [EndReason.SIGNED_OUT]

    @pytest.mark.parametrize(("before", "after"), [(None, "ada"), ("ada", None), ("ada", "bob")])
    async def test_it_ends_with_another_users(
        self, lab: Lab, before: str | None, after: str | None
    ) -> None:
        watch = lab.watch()
        first = await lab.record(before)
        holder = await lab.held(watch, first)
        await self.succeed(lab, first, after)
        await until(lambda: holder.told)
        assert holder.told == [EndReason.REPLACED]

    async def test_a_record_in_a_foreign_shard_is_not_gone_on_with(self, lab: Lab) -> None:
        watch = lab.watch()
        first = await lab.record("ada")
        holder = await lab.held(watch, first)
        draft = await adrive(lab.bench.draft("bob"))
        planted = replace(draft, id=first.tag + "." + draft.id.partition(".")[2])
        await lab.memory.succeed(first.id, first.version, planted)
        await until(lambda: holder.told)
        assert holder.told == [EndReason.REPLACED]

    async def test_what_became_of_anothers_is_not_told(self, lab: Lab) -> None:
        lab.memory.loses = True
        watch = lab.watch(interval=0.02)
        first = await lab.record(None)
        holder = await lab.held(watch, first)
        second = await self.succeed(lab, first, "ada")
        await lab.memory.end(second.id, EndReason.REVOKED)
        await until(lambda: holder.told)
        assert holder.told == [EndReason.REPLACED]


async def test_each_loop_has_its_own(lab: Lab) -> None:
    watches = Watches()
    here = watches.here(lab.watch)
    assert watches.here(lab.watch) is here

    async def there() -> Watch:
        return watches.here(lab.watch)

    assert await asyncio.to_thread(lambda: asyncio.run(there())) is not here
    await asyncio.to_thread(lambda: asyncio.run(there()))
    assert len(watches._known) == 2  # the loop that is closed was let go
