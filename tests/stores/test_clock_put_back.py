"""A store's clock that is put back: logged out everywhere is still everywhere, and signing in
afterwards works.

Where the clock is the engine's, a second store on the same data stands for the time after: its
statements and scripts add to the clock.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from openclaw_middleware.core.contract import Ended, Live, Saved, Superseded
from openclaw_middleware.core.record import EndReason, Record
from openclaw_middleware.core.token import mint, user_tag
from openclaw_middleware.stores import redis_wire
from openclaw_middleware.stores.base import StoreOptions
from openclaw_middleware.stores.memory import MemoryStore
from openclaw_middleware.stores.sql_flavours import FLAVOURS
from openclaw_middleware.stores.url import open_store
from tests.fresh import namespace

HOUR = 3600.0
OpenAt = Callable[[float], Any]


class Ahead:
    """A Redis store whose scripts see a clock that is ahead by `seconds`."""

    def __init__(self, store: Any, seconds: float) -> None:
        self._store, self._seconds = store, seconds

    def __getattr__(self, verb: str) -> Any:
        def call(*args: Any, **keywords: Any) -> Any:
            plain = redis_wire.script

            def ahead(name: str) -> redis_wire.Script:
                text = plain(name).text.replace(
                    "redis.call('TIME')",
                    "(function() local t = redis.call('TIME') return "
                    f"{{string.format('%d', t[1] + {int(self._seconds)}), t[2]}} end)()",
                )
                return redis_wire.Script(text, "0" * 40)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(redis_wire, "script", ahead)
                return getattr(self._store, verb)(*args, **keywords)

        return call


@pytest.fixture(params=["memory", "sqlite", "postgres", "mariadb", "redis"])
def at(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[OpenAt]:
    """The store as it is when its clock is so many seconds ahead of the real time."""
    opened: list[Any] = []
    options = StoreOptions(namespace=namespace(), timeout=20.0)
    url = f"sqlite:///{tmp_path}/clock.db"
    if request.param in ("postgres", "mariadb", "redis"):
        url = request.getfixturevalue(f"{request.param}_url")
    memory = MemoryStore(options)

    def open_at(seconds: float) -> Any:
        shifted = replace(options, clock=lambda: time.time() + seconds)
        if request.param == "memory":
            return MemoryStore(shifted, state=memory.state)
        if request.param == "redis":
            opened.append(open_store(url, options, "sync"))
            return Ahead(opened[-1], seconds)
        with pytest.MonkeyPatch.context() as patch:
            for name, flavour in FLAVOURS.items():
                if name != "sqlite":
                    ahead = replace(flavour, now=f"({flavour.now} + {seconds})")
                    patch.setitem(FLAVOURS, name, ahead)
            store = open_store(url, shifted, "sync")
        store.create_tables()
        opened.append(store)
        return store

    yield open_at
    for store in opened:
        store.close()


def sign_in(store: Any, *, checked: float | None = None, user: str = "ada") -> Record:
    """A sign-in of this moment, or one whose password was checked at another."""
    now = store.now()
    token = mint(user_tag(b"k" * 32, user), secrets.token_bytes)
    return Record(
        id=token.id,
        secret_hash=token.secret_hash,
        version=1,
        write_id=secrets.token_hex(9),
        created_at=now,
        authenticated_at=now,
        valid_from=now if checked is None else checked,
        last_active_at=now,
        idle_timeout=10 * HOUR,
        absolute_timeout=20 * HOUR,
        policy="default",
        user_id=user,
        payload=b"data",
    )


def admitted(store: Any, record: Record) -> bool:
    answer = store.create(record)
    assert isinstance(answer, Saved | Superseded)
    return isinstance(answer, Saved)


@pytest.mark.parametrize("way", ["create", "succeed", "spare"])
def test_an_end_of_all_sessions_reaches_those_made_before_the_clock_was_put_back(
    at: OpenAt, way: str
) -> None:
    """Whichever way they got the moment they count from."""
    before, after = at(HOUR), at(0)
    record = sign_in(before)
    assert admitted(before, record)
    if way == "succeed":
        old, record = record, sign_in(before)
        assert isinstance(before.succeed(old.id, 1, record), Saved)
    elif way == "spare":
        before.end_user(record.tag, EndReason.REVOKED, except_id=record.id)
    assert isinstance(after.load(record.id), Live)

    after.end_user(record.tag, EndReason.THEFT)

    for store in (after, before):
        found = store.load(record.id)
        assert isinstance(found, Ended)
        assert found.reason is EndReason.THEFT


def test_a_later_sign_in_does_not_hide_one_made_before_the_clock_was_put_back(at: OpenAt) -> None:
    """The end of all sessions reaches both."""
    before, after = at(HOUR), at(0)
    early = sign_in(before)
    assert admitted(before, early)
    late = sign_in(after)
    assert admitted(after, late)

    after.end_user(early.tag, EndReason.REVOKED)

    for record in (early, late):
        assert isinstance(after.load(record.id), Ended)


def test_the_spared_session_is_spared_after_the_clock_was_put_back(at: OpenAt) -> None:
    """And is ended by the next one that does not spare it."""
    before, after = at(HOUR), at(0)
    kept, other = sign_in(before), sign_in(before)
    assert admitted(before, kept)
    assert admitted(before, other)

    after.end_user(kept.tag, EndReason.REVOKED, except_id=kept.id)
    assert isinstance(after.load(kept.id), Live)
    assert isinstance(after.load(other.id), Ended)

    after.end_user(kept.tag, EndReason.THEFT)
    assert isinstance(after.load(kept.id), Ended)


@pytest.mark.parametrize("ended", ["before", "after"])
def test_nobody_is_locked_out_until_the_clock_has_caught_up(at: OpenAt, ended: str) -> None:
    """The clock was far ahead at a sign-in, or at a logout everywhere: a later sign-in lives, and
    is ended by a later logout everywhere."""
    before, after = at(10 * 365 * 24 * HOUR), at(0)
    first = sign_in(before)
    assert admitted(before, first)
    (before if ended == "before" else after).end_user(first.tag, EndReason.REVOKED)
    assert isinstance(after.load(first.id), Ended)

    second = sign_in(after)
    assert admitted(after, second)
    assert isinstance(after.load(second.id), Live)
    assert [r.id for r in after.sessions_of(first.tag).records] == [second.id]

    after.end_user(first.tag, EndReason.THEFT)
    assert isinstance(after.load(second.id), Ended)
    assert after.sessions_of(first.tag).records == ()


def test_a_small_step_back_lets_in_nobody_whose_password_was_checked_before(at: OpenAt) -> None:
    """It cannot be told then who came first, so the sign-in has to be repeated."""
    before, after = at(60), at(0)
    early = sign_in(after)
    before.end_user(early.tag, EndReason.REVOKED)

    assert not admitted(after, early)
    assert not admitted(after, sign_in(after))
    assert admitted(before, sign_in(before))


def test_a_password_checked_by_the_clock_as_it_was_ahead_lets_in_nobody(at: OpenAt) -> None:
    """Before a logout everywhere that came before the clock was put back."""
    before, after = at(2 * HOUR), at(0)
    early = sign_in(before)
    before.end_user(early.tag, EndReason.REVOKED)

    assert not admitted(after, early)


def test_a_sign_in_of_the_future_counts_from_now(at: OpenAt) -> None:
    """It does not outlive a later end of all sessions, nor a not-before it came after."""
    store = at(0)
    record = sign_in(store, checked=store.now() + HOUR)
    assert admitted(store, record)
    found = store.load(record.id)
    assert isinstance(found, Live)
    assert found.record.valid_from <= found.now
    store.end_user(record.tag, EndReason.REVOKED)
    assert isinstance(store.load(record.id), Ended)

    ended = at(60).end_user(record.tag, EndReason.REVOKED)
    late = sign_in(store, checked=ended.not_before + 1)
    assert admitted(store, late)
    assert isinstance(store.load(late.id), Live)


def test_the_moment_handed_out_is_kept_as_long_as_the_session_may_live(at: OpenAt) -> None:
    """A purge in between forgets nothing that is needed."""
    before, after = at(HOUR), at(0)
    record = sign_in(before)
    assert admitted(before, record)
    before.purge_expired()
    after.purge_expired()
    after.end_user(record.tag, EndReason.THEFT)

    assert isinstance(before.load(record.id), Ended)
