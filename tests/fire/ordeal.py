"""What every application must do while its store is away, and once it is back."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from openclaw_middleware.stores.sql_engines import POOL_SIZE
from openclaw_middleware.testing import Counting

from .places import fresh_user
from .visits import (
    PATIENCE,
    Answer,
    Handler,
    Hold,
    Visit,
    all_done,
    login,
    logout,
    read,
    slowly,
    write,
)

TIMEOUT = 0.6
# How exactly a deadline is kept is shown in tests/stores/test_deadline.py. Here requests of four
# frameworks share one process, and that one its cores with others.
BOUND = 3 * TIMEOUT + 2.0
STORM = 100


def regenerate(visit: Visit) -> None:
    visit.session.regenerate()


def swallow(visit: Visit) -> str:
    """An application that catches everything and believes that all went well."""
    with suppress(Exception):
        visit.session["c"] = 3
    return "well"


def unavailable(answer: Answer, *, clears: bool = False) -> None:
    """It is a 503 that says when to come back and leaves the browser's cookie alone."""
    assert answer.status == 503, answer
    assert answer.all("retry-after"), answer
    assert answer.all("cache-control") == ["no-store"], answer
    if clears:
        assert answer.clears, answer
    else:
        assert not answer.all("set-cookie"), answer


def in_time(answer: Answer) -> Answer:
    assert answer.seconds < BOUND, f"{answer.seconds:.2f} s: {answer}"
    return answer


class Ordeal:
    """One application, its visitors, and what they must meet.

    Args:
        trips: counts the store calls of the site.
    """

    def __init__(self, site: Any, trips: Counting) -> None:
        self.site, self.trips = site, trips
        self.users: list[str] = []
        self.ada, self.bob, self.carol, self.dave = (self.signed_in() for _ in range(4))
        self.hold = Hold()
        self.longest = 0.0
        self.storm_seconds = 0.0
        self.under_way: list[Future[Answer]] = []

    def signed_in(self) -> Any:
        """Somebody new; where the machine was too busy for `TIMEOUT`, somebody else again."""
        visitor, user = self.site.visitor(), ""

        def done() -> bool:
            nonlocal user
            user = fresh_user()
            return bool(visitor.do(login(user, a=1)).status == 200)

        wait_for(done, "nobody could sign in")
        self.users.append(user)
        return visitor

    def before(self) -> None:
        """Two requests have loaded their session when it begins, and will commit in it."""
        self.under_way = [
            self._on_its_way(self.carol, write(b=2)),
            self._on_its_way(self.dave, regenerate),
        ]

    def _on_its_way(self, visitor: Any, then: Handler) -> Future[Answer]:
        """Where the machine was too busy to load it within `TIMEOUT`, another one."""
        handler, before = slowly(self.hold, then=then), self.hold.standing
        request = visitor.begin(handler)

        def stands() -> bool:
            nonlocal request
            if request.done():
                request = visitor.begin(handler)
            return self.hold.standing > before

        wait_for(stands, "nobody could load a session")
        return request

    def unaffected(self) -> None:
        """Public pages and anonymous visitors notice nothing, and the store is not asked."""
        site, count = self.site, self.trips.total
        began = time.monotonic()
        assert site.visitor().do(None).status == 200
        assert self.ada.twin().do(None).status == 200
        assert site.visitor().ok(read) == {}
        assert time.monotonic() - began < BOUND
        lazy = 1 if site.kind == "starlette" else 0  # an eager load, whose failure nobody meets
        assert self.trips.total - count <= lazy

    def away(self) -> None:
        """Nothing is answered, and everybody is told so in time."""
        # First, because each meets a store that nobody knows to be away.
        began = time.monotonic()
        self.hold.open()
        for answer in all_done(self.under_way):
            unavailable(answer)
        assert time.monotonic() - began < BOUND
        found = [self.ada.do(each) for each in (read, write(c=3), regenerate, swallow)]
        found.append(self.site.visitor().do(login(self.users[0])))
        for answer in found:
            unavailable(in_time(answer))
        bye = self.bob.do(logout)
        unavailable(in_time(bye), clears=True)
        self.longest = max(answer.seconds for answer in (*found, bye))
        self.unaffected()

    def storm(self) -> None:
        """Neither do many who come at once, or one by one, wait for the timeout each.

        A step of its own: so many threads would make the measured answers of the others late.
        """
        began = time.monotonic()
        storm = [self.ada.twin().begin(read) for _ in range(STORM)]
        for answer in all_done(storm):
            unavailable(answer)
        for _ in range(STORM // 5):
            unavailable(self.ada.twin().do(read))
        self.storm_seconds = time.monotonic() - began
        # Without the breaker each of those that come one by one would wait for the timeout.
        assert self.storm_seconds < 2 * BOUND, self.storm_seconds

    def recovered(self, *, late: bool = True) -> None:
        """The same process serves the same sessions, and no record is half of anything.

        Args:
            late: a frozen server may still perform what it was sent.
        """
        wait_for(lambda: self.ada.do(read).status == 200)
        assert self.ada.ok(read) == {"a": 1}
        carol, dave = self.users[2:]
        found = self.carol.ok(read)
        assert found == {"a": 1} or (late and found == {"a": 1, "b": 2}), found
        for user in (self.users[0], carol):
            assert len(self.site.manage("sessions_of", user).items) == 1
        assert len(self.site.manage("sessions_of", dave).items) == 1
        assert self.dave.do(read).status == 200
        again = self.site.signed_in(self.users[0], a=2)
        assert again.ok(read) == {"a": 2}
        assert self.ada.do(logout).clears


def wait_for(true: Callable[[], bool], state: object = "") -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, state
        time.sleep(0.02)


def at_once(ordeals: Iterable[Ordeal], verb: str, **keywords: Any) -> None:
    """Let all applications go through it side by side: most of it is waiting."""
    ordeals = list(ordeals)
    with ThreadPoolExecutor(len(ordeals)) as pool:
        work = {each: pool.submit(getattr(each, verb), **keywords) for each in ordeals}
    for each, done in work.items():
        try:
            done.result()
        except Exception as error:
            raise AssertionError(f"{each.site.kind}: {error}") from error


def under_way(ordeals: Iterable[Ordeal]) -> Counter[str]:
    """Threads that serve no request of a test's, and tasks, by name.

    A connection of aiosqlite's is a thread; as many as the pools may hold are left out.
    """
    found = Counter(
        re.sub(r"\d+", "N", thread.name)
        for thread in threading.enumerate()
        if not thread.name.startswith(("request", "ThreadPoolExecutor", "asyncio_"))
    )
    loops = [each.site.loop for each in ordeals if hasattr(each.site, "loop")]
    found["Thread-N (_connection_worker_thread)"] -= POOL_SIZE * len(loops)
    for loop in loops:
        found.update(loop.tasks())
    return +found


def nothing_leaked(ordeals: Iterable[Ordeal], before: Counter[str]) -> None:
    """Sooner or later nothing is under way that was not before."""
    left: Counter[str] = Counter()

    def clean() -> bool:
        left.clear()
        left.update(under_way(ordeals) - before)
        return not left

    wait_for(clean, left)
