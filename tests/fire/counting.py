"""One process that counts in a session, for the tests of retries:
`python -m tests.fire.counting COLOUR STORE_NAME STORE NAMESPACE FIRST COUNTS COOKIE`.

Every 20th answer to a save is lost, and every 20th save is refused. Each request saves until it is
told that it was saved. Says "ready", counts when it is given a line, then says what happened.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from openclaw_middleware import Session, StoreConflict, StoreError, StoreUnavailable
from openclaw_middleware.core.steps import Steps, adrive, drive
from openclaw_middleware.runtime import Runtime
from openclaw_middleware.testing import Fault, LostReplies

from .places import Place

EVERY = 20
AT_ONCE = 5


class Refusals(Fault):
    """Does not even perform each n-th save."""

    def __init__(self) -> None:
        self.seen = self.refused = 0
        self._lock = threading.Lock()

    def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
        if operation == "save":
            with self._lock:
                self.seen += 1
                # not the saves whose answers are lost
                refuse = self.seen % EVERY == EVERY // 2
                self.refused += refuse
            if refuse:
                raise StoreUnavailable("refused", store="test", operation=operation)
        answer = yield call()
        return answer


class Tally:
    """What happened to the saves of this process."""

    def __init__(self) -> None:
        self.lost = LostReplies("save", times=None, every=EVERY)
        self.refused = Refusals()
        self.conflicts = 0

    def told(self) -> dict[str, int]:
        return {
            "lost": self.lost.lost,
            "refused": self.refused.refused,
            "conflicts": self.conflicts,
        }


def count(
    session: Session,
    save: Callable[[], Any],
    number: int,
    tally: Tally,
    pause: Callable[[float], Any],
) -> Steps[None]:
    """One increment and one append, saved for certain."""
    session.apply("n", lambda n: n + 1)
    session["log"].append(number)
    while True:
        try:
            yield save()
        except StoreConflict:
            tally.conflicts += 1
        except StoreError:
            # The breaker may be open: clients that give way, as any should.
            yield pause(0.02)
        else:
            return


def begin(runtime: Runtime, cookie: str) -> Any:
    exchange = runtime.exchange(cookie, "/", "GET", lambda name: None)
    assert exchange is not None
    return exchange


def in_threads(runtime: Runtime, cookie: str, numbers: list[int], tally: Tally) -> None:
    def request(number: int) -> None:
        exchange = begin(runtime, cookie)
        session = runtime.session(exchange, blocking=True)
        session.load()
        drive(count(session, session.save, number, tally, time.sleep))
        runtime.blocking.commit(exchange)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(request, numbers))
    runtime.blocking.store.close()


async def in_tasks(runtime: Runtime, cookie: str, numbers: list[int], tally: Tally) -> None:
    free = asyncio.Semaphore(AT_ONCE)

    async def request(number: int) -> None:
        async with free:
            exchange = begin(runtime, cookie)
            session = runtime.session(exchange, asynchronous=True)
            await session.aload()
            await adrive(count(session, session.asave, number, tally, asyncio.sleep))
            await runtime.asynchronous.commit(exchange)

    await asyncio.gather(*map(request, numbers))
    await runtime.asynchronous.store.close()


def main(
    colour: str, name: str, url: str, namespace: str, first: str, counts: str, cookie: str
) -> None:
    place, tally = Place(name, url, namespace), Tally()
    store = place.store(colour, place.settings(), tally.refused, tally.lost)
    runtime = Runtime(place.settings(store=store))
    numbers = list(range(int(first), int(first) + int(counts)))
    print("ready", flush=True)
    sys.stdin.readline()
    if colour == "sync":
        in_threads(runtime, cookie, numbers, tally)
    else:
        asyncio.run(in_tasks(runtime, cookie, numbers, tally))
    print(json.dumps(tally.told()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
