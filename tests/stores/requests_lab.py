"""Requests without a framework: a deployment in one colour, called blocking, and timed.

What happens between two lines of a test happens between two store calls of a request.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from openclaw_middleware import SessionSettings, StoreError
from openclaw_middleware.core.exchange import Exchange
from openclaw_middleware.runtime import Runtime
from openclaw_middleware.session import Session
from tests.fire.ordeal import wait_for
from tests.fire.sites import Loop

PATIENCE = 60.0
STEP = 0.005


class Machine:
    """How late the machine is: by how much short sleeps of a thread are too long, all together.

    A request that waits is woken far less often than this thread, so that what it lost to others
    on the machine is less than what is counted meanwhile. Next to nothing where it is idle.
    """

    def __init__(self) -> None:
        self._late = 0.0
        self._woken = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._count, name="how late")
        self._thread.start()

    def _count(self) -> None:
        while not self._over.is_set():
            time.sleep(STEP)
            now = time.monotonic()
            self._late += max(0.0, now - self._woken - STEP)
            self._woken = now

    def late(self) -> float:
        """Seconds so far, with what it is late by now."""
        return self._late + max(0.0, time.monotonic() - self._woken - STEP)

    def close(self) -> None:
        self._over.set()
        self._thread.join()


SECRET = "tests only: q9Lm-3xZ7_Kd2sVb8Wn5Rt6yUc4pHj1"


@dataclass
class Request:
    """One request under way.

    Attributes:
        seconds: spent in its store calls.
        late: those of them by which the machine was late at most.
        failure: what the last of them failed with.
    """

    deployment: Deployment
    x: Exchange
    session: Session
    seconds: float = 0.0
    late: float = 0.0
    failure: StoreError | None = field(default=None, repr=False)

    def timed(self, verb: str) -> Request:
        machine = self.deployment.machine
        began, late = time.monotonic(), machine.late()
        try:
            self.deployment.drive(verb, self.x)
        except StoreError as error:
            self.failure = error
        self.seconds += time.monotonic() - began
        self.late += machine.late() - late
        self.failure = self.failure or self.x.failure
        return self

    def load(self) -> Request:
        return self.timed("load")

    def write(self, **changes: Any) -> Request:
        """Change the session and commit."""
        self.session.update(changes)
        return self.timed("commit")


class Deployment:
    """One runtime on one store; its asyncio colour has a loop of its own."""

    def __init__(
        self,
        colour: str,
        store: str,
        namespace: str,
        timeout: float,
        runtime: type[Runtime] = Runtime,
    ) -> None:
        self.colour = colour
        self.timeout = timeout
        settings = SessionSettings.for_tests(
            secret_key=SECRET, store=store, namespace=namespace, store_timeout=timeout
        )
        self.runtime = runtime(settings)
        self.machine = Machine()
        self.loop = Loop() if colour == "async" else None
        self.driver: Any = self.runtime.blocking if colour == "sync" else self.runtime.asynchronous
        self.call("create_tables")
        self.cookie = ""

    def drive(self, verb: str, *args: Any) -> Any:
        call = getattr(self.driver, verb)
        return call(*args) if self.loop is None else self.loop.start(call(*args)).result(PATIENCE)

    def call(self, verb: str, *args: Any) -> Any:
        """A verb of the store itself."""
        call = getattr(self.driver.store, verb)
        return call(*args) if self.loop is None else self.loop.start(call(*args)).result(PATIENCE)

    def request(self) -> Request:
        """One of whoever signed in last."""
        x = self.runtime.exchange(self.cookie, "/", "GET", lambda name: None)
        assert x is not None
        return Request(self, x, Session(x, None, None))

    def sign_in(self, user: str = "ada") -> None:
        self.cookie = ""
        request = self.request().load()
        request.session.login(user)
        request.timed("commit")
        assert request.failure is None, request.failure
        headers = dict(request.x.finish_headers([]))
        self.cookie = headers["Set-Cookie"].partition(";")[0]

    def warm(self, count: int) -> None:
        """Open that many connections, or fewer where the pool is smaller."""
        together([lambda: self.call("now")] * count)

    def connections(self) -> int:
        """How many connections are in use."""

        def count() -> int:
            store = self.driver.store
            if hasattr(store, "_client"):
                pool = store._client().connection_pool
                if self.loop is None:
                    return len(pool._get_in_use_connections())
                return len(pool._in_use_connections)
            return int(store._engine().pool.checkedout())

        async def acount() -> int:
            return count()

        return count() if self.loop is None else self.loop.start(acount()).result(PATIENCE)

    def close(self) -> None:
        if self.loop is not None:
            # What was given up goes on until its thread or its server notices.
            wait_for(lambda: not self.loop.tasks())
        self.call("close")
        if self.loop is not None:
            self.loop.close()
        self.machine.close()


def together(work: Sequence[Callable[[], Any]], *, every: float = 0.0) -> list[Any]:
    """Begin each in a thread of its own, `every` so many seconds; answers in order."""

    def run(number: int, each: Callable[[], Any]) -> Any:
        time.sleep(number * every)
        return each()

    with ThreadPoolExecutor(len(work)) as pool:
        return [done.result() for done in [pool.submit(run, *each) for each in enumerate(work)]]
