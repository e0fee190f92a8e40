"""P7: sessions live and die by the store's clock, whatever this process's clocks or the TTL do.

On servers time cannot be moved, so records are moved into the past instead; nothing sleeps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from sqlalchemy import text

from openclaw_middleware import EndReason, SessionSettings
from openclaw_middleware.runtime import Runtime, make_desk
from openclaw_middleware.stores.sql import SQLStore
from tests.core.lab import Lab
from tests.fresh import namespace as new_namespace


@dataclass
class Place:
    """A server with a clock of its own, and hands that reach past the store.

    Attributes:
        age: makes a session's last activity and sign-in this many seconds older.
        keep: takes the engine's own expiry away.
    """

    store: str
    namespace: str
    age: Callable[[str, float], None]
    keep: Callable[[], None]

    def site(
        self, *, wall: Any = time.time, monotonic: Any = time.monotonic, **more: Any
    ) -> Runtime:
        """A deployment whose process has these clocks."""
        settings = SessionSettings.for_tests(
            store=self.store,
            namespace=self.namespace,
            secret_key="5pM0vZk3rXw8bQeY1nTgJ7uLdHsCfA2iOo9RaNqEyVtKxWj",
            store_timeout=20,
            **more,
        )
        return Runtime(settings, desk=make_desk(settings, wall=wall, monotonic=monotonic))


@pytest.fixture(params=["redis", "postgres", "mariadb"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    url, name = request.getfixturevalue(f"{request.param}_url"), new_namespace()
    if request.param == "redis":
        client = redis.Redis.from_url(url)

        def age(session_id: str, seconds: float) -> None:
            tag, _, rest = session_id.partition(".")
            key = f"{name}:{{{tag}}}:s:{rest}" if tag else f"{name}:s:{{{rest}}}"
            moved = float(client.hget(key, "l") or 0) - seconds
            client.hset(key, "l", f"{moved:.6f}")

        def keep() -> None:
            for key in client.scan_iter(f"{name}:*"):
                client.persist(key)

        yield Place(url, name, age, keep)
        client.close()
        return
    place = Place(url, name, lambda *_: None, lambda: None)
    store = SQLStore(url, place.site().options)
    store.create_tables()
    statement = text(
        f"UPDATE {name}_sessions SET last_active_at = last_active_at - :seconds WHERE id = :id"
    )

    def age_row(session_id: str, seconds: float) -> None:
        with store._engine().connect() as connection:
            connection.execute(statement, {"seconds": seconds, "id": session_id})

    place.age = age_row
    yield place
    store.close()


def visit(runtime: Runtime, cookie: str = "", **login: Any) -> tuple[Any, str]:
    """A request: its session after loading, and the cookie for the next."""
    exchange = runtime.exchange(cookie, "/", "GET", lambda name: None)
    assert exchange is not None
    session = runtime.session(exchange, blocking=True)
    if login:
        session.login("ada", **login)
    assert session.user_id in ("ada", None)
    runtime.blocking.commit(exchange)
    if exchange.touch_due():
        runtime.blocking.touch(exchange)
    return session, (exchange.cookie or cookie).partition(";")[0]


SKEWED: dict[str, Callable[[], float]] = {
    "5 minutes behind": lambda: time.time() - 300,
    "5 minutes ahead": lambda: time.time() + 300,
    "a day behind": lambda: time.time() - 86400,
    "a day ahead": lambda: time.time() + 86400,
    "stopped in 1970": lambda: 0.0,
}


@pytest.mark.parametrize("skew", sorted(SKEWED))
def test_a_skewed_process_neither_ends_nor_prolongs_anything(place: Place, skew: str) -> None:
    """A session made by a skewed process lives, and dies, like any other."""
    skewed, right = place.site(wall=SKEWED[skew]), place.site()
    made, cookie = visit(skewed, remember=False)

    for runtime in (right, skewed):
        assert visit(runtime, cookie)[0].user_id == "ada"
    place.age(made.id, 1700)
    assert visit(skewed, cookie)[0].user_id == "ada"
    place.age(made.id, 1801)
    for runtime in (skewed, right):
        assert visit(runtime, cookie)[0].previous_end is EndReason.IDLE


@pytest.mark.parametrize("monotonic", ["frozen", "leaping"])
def test_a_monotonic_clock_gone_wrong_ends_nothing_early(place: Place, monotonic: str) -> None:
    """Suspended machines and bad virtual clocks: deadlines are compared in the store."""
    ticks = iter(range(0, 10**9, 7))
    clock = (lambda: 5.0) if monotonic == "frozen" else (lambda: next(ticks) / 1e6)
    runtime = place.site(monotonic=clock)
    made, cookie = visit(runtime, remember=False)

    assert visit(runtime, cookie)[0].user_id == "ada"
    place.age(made.id, 1801)
    assert visit(runtime, cookie)[0].user_id is None


def test_a_sign_in_checked_long_ago_by_a_skewed_clock_is_as_old_as_it_was(place: Place) -> None:
    """`verified_at` is this process's time: what counts is how long ago it was."""
    ahead = place.site(wall=SKEWED["a day ahead"])
    made, cookie = visit(ahead, verified_at=time.time() + 86400 - 28800 + 60)
    assert visit(ahead, cookie)[0].user_id == "ada"
    assert made.info.absolute_deadline - time.time() == pytest.approx(60, abs=5)

    _, cookie = visit(ahead, verified_at=time.time() + 86400 - 28801)
    session, _ = visit(place.site(), cookie)
    assert session.previous_end is EndReason.ABSOLUTE


def test_a_sign_in_from_the_future_is_of_now(place: Place) -> None:
    """A clock that was put back between the password and the sign-in prolongs nothing."""
    made, _ = visit(place.site(), verified_at=time.time() + 10_000)

    assert made.info.absolute_deadline - time.time() == pytest.approx(28800, abs=5)


def test_expired_stays_expired_without_the_engines_expiry(place: Place) -> None:
    """TTL off, nothing purged: a load, a touch, a save and a listing find it over."""
    runtime = place.site()
    made, cookie = visit(runtime, remember=False)
    slow = runtime.exchange(cookie, "/", "GET", lambda name: None)
    assert slow is not None
    session = runtime.session(slow, blocking=True)
    session["late"] = 1
    session.keep_alive()
    place.keep()
    place.age(made.id, 1801)
    runtime.blocking.commit(slow)
    place.keep()

    assert visit(runtime, cookie)[0].previous_end is EndReason.IDLE
    page = runtime.blocking.store.sessions_of(runtime.desk.tag("ada"))
    assert made.id not in [record.id for record in page.records]
    assert visit(runtime, cookie)[0].user_id is None


@pytest.mark.parametrize("zone", ["America/St_Johns", "Pacific/Apia", "Europe/Berlin"])
def test_the_time_zone_and_its_summer_time_change_nothing(
    monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    """The clock is set across the hour that happens twice, in a process of that zone."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        lab = Lab()
        lab.clock.set(1_793_494_800.0 - 900)  # a quarter to summer time's end in Berlin, 2026
        browser = lab.browser()
        browser.sign_in("ada")
        for _ in range(8):
            lab.clock.advance(899)
            request = browser.request()
            assert request.session.user_id == "ada"
            request.finish()
        lab.clock.advance(1801)
        assert browser.request().session.previous_end is EndReason.IDLE
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_clock_put_back_brings_nothing_back(place: Place) -> None:
    """An ended session stays ended whatever a process's clock says."""
    runtime = place.site(wall=SKEWED["a day behind"])
    _, cookie = visit(runtime, remember=False)
    exchange = runtime.exchange(cookie, "/", "GET", lambda name: None)
    assert exchange is not None
    runtime.session(exchange, blocking=True).logout_everywhere()
    runtime.blocking.commit(exchange)

    assert visit(runtime, cookie)[0].user_id is None
    assert visit(place.site(wall=SKEWED["stopped in 1970"]), cookie)[0].user_id is None
