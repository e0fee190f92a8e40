"""What the conformance tests stand on: a store of one colour, its clock, records, parallel bodies.

A test is written once, as a generator body that yields store calls; `fact` makes a plain test of
it, which the bench runs blocking or under asyncio. Nothing here knows an engine or sleeps: where
the engine has its own clock, time is let pass by asking the store for it.
"""
# ruff: noqa: S101 - a conformance suite asserts

from __future__ import annotations

import asyncio
import functools
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeVar

from ..core.contract import Live, Saved
from ..core.record import Record
from ..core.steps import Steps, adrive, drive
from ..core.token import mint, user_tag
from ..stores.base import AsyncStore, Store, StoreOptions
from .clock import Clock

T = TypeVar("T")
Colour = Literal["sync", "async"]
AnyStore = Store | AsyncStore

BRIEF = 0.02
"""Seconds of idle limit or retention that a test can afford to let pass on an engine's clock."""

DEFECTS = {
    "resurrection": "save, touch and rotate never create; a dead record stays dead",
    "lost update": "save is a compare-and-set and answers the current record",
    "stale write-back": "a touch carries no payload, a load writes nothing",
    "client-chosen id": "no verb adopts an id the store does not hold",
    "old id survives": "succeed is one step: never both alive, never the old one afterwards",
    "record per visit": "asking for what is not there leaves nothing behind",
    "write per request": "a load, and a write that finds nothing to do, change nothing",
    "unpickling": "a payload is opaque bytes, returned as they came",
    "expiry left to the engine": "both deadlines are compared by every verb",
    "naive or local clocks": "epoch seconds, whatever the time zone",
    "wrong half of sync/async": "both colours answer alike, from one text",
    "app transaction hijack": "an application's transaction neither holds nor undoes ours",
    "configuration swallowed": "an engine that cannot work raises, it does not answer Missing",
}
"""Classes of defects found in other session packages, and what keeps a store clear of them."""


class StoreFactory(Protocol):
    """Makes a store of the given colour; two with the same namespace share their sessions if the
    engine is shared at all."""

    def __call__(self, colour: Colour, options: StoreOptions) -> AnyStore: ...


Test = TypeVar("Test", bound=Callable[..., Any])


def fact(*defects: str) -> Callable[[Callable[..., Steps[None]]], Callable[..., None]]:
    """Make a test of a generator body; `defects` name the classes (see `DEFECTS`) it guards."""
    unknown = set(defects) - set(DEFECTS)
    if unknown:
        raise ValueError(f"unknown defect class: {', '.join(sorted(unknown))}")

    def wrap(body: Callable[..., Steps[None]]) -> Callable[..., None]:
        @functools.wraps(body)
        def test(self: object, bench: Bench, **fixtures: Any) -> None:
            bench.run(body(self, bench, **fixtures))

        return guards(*defects)(test)

    return wrap


def guards(*defects: str) -> Callable[[Test], Test]:
    """Note on a test which classes of defects it guards against."""

    def mark(test: Test) -> Test:
        test.defects = frozenset(defects)  # type: ignore[attr-defined]  # read by the trace test
        return test

    return mark


@dataclass
class Bench:
    """One test's workplace: `store` is fresh and empty, `clock` is used if the store heeds it."""

    make_store: StoreFactory
    colour: Colour
    clock: Clock = field(default_factory=Clock)
    # Generous, since conformance is not about speed and the machine may be busy.
    options: StoreOptions = field(default_factory=lambda: StoreOptions(timeout=30.0))
    # Namespaces with tables; tests may share one, since they keep apart by random ids and tags.
    prepared: list[str] = field(default_factory=list)
    opened: list[AnyStore] = field(default_factory=list)
    _store: AnyStore | None = None

    def __post_init__(self) -> None:
        self.options = replace(self.options, clock=self.clock)
        self.user_key = secrets.token_bytes(16)

    @property
    def store(self) -> AnyStore:
        """The store under test."""
        assert self._store is not None, "the bench is not running"
        return self._store

    @property
    def settable(self) -> bool:
        """The store judges by `clock`, so a test can set any instant."""
        return self.store.capabilities.clock == "application"

    def run(self, body: Steps[None]) -> None:
        """Run a test body in this bench's colour, with the store opened before, closed after."""
        if self.colour == "sync":
            drive(self._opened_around(body))
        else:
            asyncio.run(adrive(self._opened_around(body)))

    def _opened_around(self, body: Steps[None]) -> Steps[None]:
        try:
            if self.prepared:
                yield from self._settle(self.prepared[0])
            else:
                yield from self.fresh()
            yield from body
        finally:
            for store in self.opened:
                yield store.close()

    def fresh(self, **options: Any) -> Steps[None]:
        """Go on with an empty store of these options, in a namespace nobody else uses."""
        yield from self._settle(f"c{secrets.token_hex(5)}", **options)

    def _settle(self, namespace: str, **options: Any) -> Steps[None]:
        self.options = replace(self.options, namespace=namespace, **options)
        self._store = yield from self.open()

    def open(self, **options: Any) -> Steps[AnyStore]:
        """A further store beside the one under test; in its namespace unless one is given."""
        chosen = replace(self.options, **options)
        store = self.make_store(self.colour, chosen)
        assert isinstance(store, Store if self.colour == "sync" else AsyncStore)
        self.opened.append(store)
        if chosen.namespace not in self.prepared:
            yield store.create_tables()
            self.prepared.append(chosen.namespace)
        return store

    def workers(self, count: int = 3) -> Steps[list[AnyStore]]:
        """Stores as that many processes would have them; one and the same if it is not shared."""
        stores = [self.store]
        while self.store.capabilities.shared and len(stores) < count:
            stores.append((yield from self.open()))
        return stores

    def together(self, bodies: Iterable[Steps[T]]) -> Steps[list[T]]:
        """Run bodies at the same time, in threads or tasks; their answers in order."""
        waiting = list(bodies)
        answers: list[T]
        if self.colour == "async":
            answers = yield self._gather(waiting)
        else:
            start = threading.Barrier(len(waiting))

            def run(body: Steps[T]) -> T:
                start.wait(10)
                return drive(body)

            # Else a thread often runs to its end undisturbed.
            interval = sys.getswitchinterval()
            sys.setswitchinterval(1e-6)
            self.clock.restless = True
            try:
                with ThreadPoolExecutor(len(waiting)) as threads:
                    answers = yield list(threads.map(run, waiting))
            finally:
                self.clock.restless = False
                sys.setswitchinterval(interval)
        return answers

    async def _gather(self, bodies: list[Steps[T]]) -> list[T]:
        return list(await asyncio.gather(*(adrive(body) for body in bodies)))

    def until(self, instant: float) -> Steps[float]:
        """Let the store's clock reach `instant` (epoch seconds); answers its now."""
        if self.settable:
            self.clock.set(max(instant, self.clock()))
        patience = time.monotonic() + 30
        now: float = yield self.store.now()
        while now < instant:
            assert time.monotonic() < patience, f"the store's clock stays before {instant}"
            now = yield self.store.now()
        return now

    def tick(self) -> Steps[float]:
        """Let the store's clock show a later time than now."""
        now: float = yield self.store.now()
        if self.settable:
            return (yield from self.until(now + 1))
        return (yield from self.until(now + 0.002))

    def tag(self, user_id: str | None) -> str:
        """The shard of a user, as the middleware would compute it."""
        return "" if user_id is None else user_tag(self.user_key, user_id)

    def draft(self, user_id: str | None = None, **fields: Any) -> Steps[Record]:
        """A record as a sign-in at this moment would make it, not stored yet."""
        now: float = yield self.store.now()
        token = mint(self.tag(user_id), secrets.token_bytes)
        record = Record(
            id=token.id,
            secret_hash=token.secret_hash,
            version=1,
            write_id=new_write(),
            created_at=now,
            authenticated_at=None if user_id is None else now,
            valid_from=now,
            last_active_at=now,
            idle_timeout=1800.0,
            absolute_timeout=28800.0,
            policy="default",
            user_id=user_id,
            payload=b"draft",
        )
        return replace(record, **fields)

    def live(self, user_id: str | None = None, **fields: Any) -> Steps[Record]:
        """A stored, living record, as the store gives it back."""
        record = yield from self.draft(user_id, **fields)
        saved = yield self.store.create(record)
        assert isinstance(saved, Saved), saved
        found = yield self.store.load(record.id)
        assert isinstance(found, Live), found
        return found.record

    def drafts(self, count: int, user_id: str | None = None) -> Steps[list[Record]]:
        """Several drafts for one user."""
        made = []
        for _ in range(count):
            made.append((yield from self.draft(user_id)))
        return made

    def lives(self, *user_ids: str | None, **fields: Any) -> Steps[list[Record]]:
        """A living record for each of the users."""
        made = []
        for user_id in user_ids:
            made.append((yield from self.live(user_id, **fields)))
        return made

    def expired(self, user_id: str | None = None, *, ago: float = 10.0) -> Steps[Record]:
        """A stored record whose absolute deadline passed `ago` seconds ago."""
        now: float = yield self.store.now()
        started = round(now - 3600, 6)
        record = yield from self.draft(
            user_id,
            created_at=started,
            authenticated_at=None if user_id is None else started,
            absolute_timeout=3600.0 - ago,
        )
        saved = yield self.store.create(record)
        assert isinstance(saved, Saved), saved
        return record

    def idle(self, user_id: str | None = None) -> Steps[Record]:
        """A stored record whose idle deadline has just passed."""
        record = yield from self.draft(user_id, idle_timeout=BRIEF)
        saved = yield self.store.create(record)
        assert isinstance(saved, Saved), saved
        yield from self.until(saved.now + 2 * BRIEF)
        return record

    def census(self, ids: Iterable[str]) -> Steps[list[str]]:
        """Which of `ids` are alive by load."""
        alive = []
        for session_id in ids:
            if isinstance((yield self.store.load(session_id)), Live):
                alive.append(session_id)
        return alive

    def listed(self, user_id: str, count: int = 100) -> Steps[list[Record]]:
        """The user's sessions, over all pages."""
        found: list[Record] = []
        cursor: str | None = None
        for _ in range(1000):
            page = yield self.store.sessions_of(self.tag(user_id), cursor=cursor, count=count)
            assert len(page.records) <= count
            found += page.records
            cursor = page.cursor
            if cursor is None:
                return found
        raise AssertionError("sessions_of never comes to its last page")


def new_write() -> str:
    """A write id nobody else has."""
    return secrets.token_urlsafe(12)
