"""What a handler is given in every framework, who sends requests, and how a test holds one.

A handler is a function of a `Visit`. Where it must wait it is a generator that yields what a
visit's verbs return: blocking frameworks have waited already, asyncio ones await it.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from openclaw_middleware import Session
from openclaw_middleware.core.steps import Steps
from tests.drivers.world import Reply

COOKIE = "session"
PATIENCE = 30.0


@dataclass(frozen=True)
class Visit:
    """A request under way, as its handler sees it."""

    session: Session
    awaited: bool

    def wait(self, future: Future[Any]) -> Any:
        """Wait until the future is done."""
        if self.awaited:
            return asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), PATIENCE)
        return future.result(PATIENCE)

    def verb(self, name: str, *args: Any) -> Any:
        """Call `load`, `save`, `reload` or `take` in the visit's colour."""
        return getattr(self.session, f"a{name}" if self.awaited else name)(*args)

    def take(self, key: str) -> Any:
        return self.verb("take", key)


Handler = Callable[[Visit], Any]


def steps(handler: Handler | None, visit: Callable[[], Visit]) -> Steps[Reply]:
    """A handler's run as a body for `drive` or `adrive`; without one the session is not asked."""
    if handler is None:
        return Reply(body="public")
    found = handler(visit())
    if inspect.isgenerator(found):
        found = yield from found
    return found if isinstance(found, Reply) else Reply(body=json.dumps(found, default=str))


class Hold:
    """Where handlers stand until the test lets them go.

    Attributes:
        standing: how many have come this far.
    """

    def __init__(self, count: int = 1) -> None:
        self.standing = 0
        self._awaited = count
        self._lock = threading.Lock()
        self._reached: Future[None] = Future()
        self._opened: Future[None] = Future()

    def stand(self, visit: Visit) -> Any:
        """Say that this handler has come this far, and wait for `open`."""
        with self._lock:
            self.standing += 1
            if self.standing == self._awaited:
                self._reached.set_result(None)
        return visit.wait(self._opened)

    def reached(self) -> None:
        """Wait until all expected handlers stand here."""
        self._reached.result(PATIENCE)

    def open(self) -> None:
        self._opened.set_result(None)


@dataclass(frozen=True)
class Answer:
    """A response as it arrived."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    seconds: float = 0.0

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def ours(self) -> list[str]:
        """The `Set-Cookie` lines of the session cookie."""
        return [line for line in self.all("set-cookie") if line.startswith(f"{COOKIE}=")]

    @property
    def clears(self) -> bool:
        """The browser is told to forget the session cookie."""
        return any("max-age=0" in line.lower() for line in self.ours)

    @property
    def data(self) -> Any:
        return json.loads(self.body)


class Visitor:
    """A browser with one cookie; `site` is anything with `begin(handler, cookie)`."""

    def __init__(self, site: Any, cookie: str | None = None) -> None:
        self.site = site
        self.cookie = cookie

    def begin(self, handler: Handler | None, **call: Any) -> Future[Answer]:
        """Send a request and do not wait for its answer."""
        return self.site.begin(handler, self.cookie, **call)

    def finish(self, pending: Future[Answer]) -> Answer:
        """Wait for an answer and keep the cookie it sets."""
        answer = pending.result(PATIENCE)
        for line in answer.ours:
            self.cookie = None if answer.clears else line.partition(";")[0].partition("=")[2]
        return answer

    def do(self, handler: Handler | None, **call: Any) -> Answer:
        """A whole request."""
        return self.finish(self.begin(handler, **call))

    def ok(self, handler: Handler | None, **call: Any) -> Any:
        """A whole request that must succeed; what its handler returned."""
        answer = self.do(handler, **call)
        assert answer.status == 200, (answer.status, answer.body)
        return answer.data

    def twin(self, site: Any = None) -> Visitor:
        """Another holder of the same cookie: a copy, or the same browser at another server."""
        return Visitor(site or self.site, self.cookie)


# -- handlers


def write(**values: Any) -> Handler:
    def handler(visit: Visit) -> None:
        visit.session.update(values)

    return handler


def login(user: object = "ada", **values: Any) -> Handler:
    def handler(visit: Visit) -> None:
        visit.session.login(user)
        visit.session.update(values)

    return handler


def logout(visit: Visit) -> None:
    visit.session.logout()


def read(visit: Visit) -> dict[str, Any]:
    return visit.session.to_dict()


def whoami(visit: Visit) -> dict[str, Any]:
    session = visit.session
    return {
        "user": session.user_id,
        "data": session.to_dict(),
        "end": session.previous_end,
        "new": session.is_new,
    }


def slowly(hold: Hold, *, first: Handler | None = None, then: Handler | None = None) -> Handler:
    """Load the session, do something, stand at the hold, do something else."""

    def handler(visit: Visit) -> Steps[Any]:
        visit.session.to_dict()
        answer = first(visit) if first is not None else None
        yield hold.stand(visit)
        return then(visit) if then is not None else answer

    return handler


def all_done(pending: Iterable[Future[Answer]]) -> list[Answer]:
    return [each.result(PATIENCE) for each in pending]
