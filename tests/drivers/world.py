"""The world a scenario happens in: one store, one clock, browsers with cookie jars.

Time stands still until a step moves it, and randomness repeats itself, so two runners that do the
same send the same bytes. No framework in here; those are in `runners`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from openclaw_middleware import EndReason, Session, SessionSettings, StoreUnavailable
from openclaw_middleware.core.contract import Live
from openclaw_middleware.core.events import ChangesDropped, Event, Events, Listener
from openclaw_middleware.core.steps import Steps
from openclaw_middleware.runtime import Runtime, make_desk
from openclaw_middleware.stores.memory import AsyncMemoryStore, MemoryState, MemoryStore
from openclaw_middleware.testing import Clock, Counting, Fault, wrap

START = 1_700_000_000.0
SECRET = "5pM0vZk3rXw8bQeY1nTgJ7uLdHsCfA2iOo9RaNqEyVtKxWj"
COOKIE = "session"


@dataclass(frozen=True)
class Reply:
    """What a handler answers.

    Attributes:
        late: called with the session after the first chunk has left; then a last chunk follows.
    """

    status: int = 200
    body: str = "ok"
    headers: tuple[tuple[str, str], ...] = ()
    late: Callable[[Session], object] | None = None

    def chunks(self, session: Session) -> Iterator[bytes]:
        """The body, for frameworks that stream from a generator."""
        yield self.body.encode()
        if self.late is not None:
            self.late(session)
            yield b" late"


Handler = Callable[[Session], "Reply | object"]


def answer(handler: Handler | None, session: Callable[[], Session]) -> Reply:
    """What the handler answers; without a handler the session is not even looked at."""
    if handler is None:
        return Reply()
    found = handler(session())
    return found if isinstance(found, Reply) else Reply(body=str(found))


@dataclass(frozen=True)
class Call:
    """One request, as a runner is given it. Header names are lower-case; `cut`: its client leaves
    before the body has come."""

    handler: Handler | None
    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    query: str = ""
    body: bytes = b""
    cut: bool = False


@dataclass(frozen=True)
class Response:
    """What came back: `error` is what reached the server, which then answers 500 itself."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    error: BaseException | None = None

    def all(self, name: str) -> list[str]:
        """The values of a header."""
        return [value for key, value in self.headers if key.lower() == name]

    def one(self, name: str) -> str | None:
        """The values of a header joined, None when there is none."""
        return ", ".join(self.all(name)) or None


class Runner(Protocol):
    """A driver or adapter that can perform a `Call`.

    A runner is made for one world: `Runner(world)`. It builds an application around
    `world.runtime(colour)` (or around `world.settings`, with `world.store(colour)` as the store),
    whose every path calls `answer(call.handler, <how to get the session>)` and sends the `Reply`.
    The body is read to its end and closed before `request` returns.

    Attributes:
        name: shown in the test's id.
        eager: a session is loaded before the handler asks for it.
        skips: scenarios this runner cannot take part in, with the reason.
    """

    name: str
    eager: bool
    skips: dict[str, str]

    def __init__(self, world: World) -> None: ...
    def request(self, call: Call) -> Response: ...
    def close(self) -> None: ...


class Outage(Fault):
    """The store is away while `down`; `only` narrows it to some verbs.

    Attributes:
        before: what happens just before the next call of a verb, once.
    """

    def __init__(self) -> None:
        self.down = False
        self.before: dict[str, Callable[[], object]] = {}
        self.only: frozenset[str] = frozenset()

    def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
        self.before.pop(operation, lambda: None)()
        if self.down and (not self.only or operation in self.only):
            raise StoreUnavailable("the store is away", store="test", operation=operation)
        found = yield call()
        return found


@dataclass
class Browser:
    """A cookie jar."""

    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def header(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def take(self, response: Response) -> None:
        for line in response.all("set-cookie"):
            pair, _, attributes = line.partition(";")
            name, _, value = pair.partition("=")
            if "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value


class World:
    """One deployment on a memory store, and everything a scenario may do to it."""

    def __init__(self, **settings: Any) -> None:
        self.options: dict[str, Any] = {"secret_key": SECRET, "cookie_secure": False, **settings}
        self.settings = SessionSettings.for_tests(**self.options)
        self.clock = Clock(START)
        self.state = MemoryState()
        self.trips = Counting()
        self.outage = Outage()
        self.notes: list[str] = []
        self.dropped: list[tuple[str, ...]] = []
        self.listeners: list[Listener] = [self._note]
        self.browsers: dict[str, Browser] = {}
        self._drawn = 0

    def _note(self, event: Event) -> None:
        if isinstance(event, ChangesDropped):
            self.dropped.append(event.keys)

    # -- for runners

    def store(self, colour: str) -> Any:
        """The store of this world in a colour, counting trips."""
        options = replace(self.settings.store_options(), clock=self.clock)
        if colour == "sync":
            return wrap(MemoryStore(options, state=self.state), self.outage, self.trips)
        return wrap(AsyncMemoryStore(options, state=self.state), self.outage, self.trips)

    def runtime(self, colour: str) -> Runtime:
        """This world's deployment, for a middleware or adapter of that colour."""
        settings = SessionSettings.for_tests(**{**self.options, "store": self.store(colour)})
        return Runtime(settings, desk=self.desk(settings))

    def desk(self, settings: SessionSettings) -> Any:
        """A desk whose time and randomness are this world's."""
        return make_desk(
            settings,
            Events(self.listeners),
            random=self.random,
            wall=self.clock,
            monotonic=self.clock,
        )

    def random(self, count: int) -> bytes:
        """Bytes that are the same in each run."""
        self._drawn += 1
        return hashlib.shake_256(self._drawn.to_bytes(8)).digest(count)

    # -- for scenarios

    def browser(self, name: str = "a") -> Browser:
        """A browser, with an empty jar at first."""
        return self.browsers.setdefault(name, Browser())

    def token(self, browser: str = "a", cookie: str = COOKIE) -> str:
        """What a browser's session cookie holds."""
        return self.browser(browser).cookies[cookie]

    def revoke(self) -> None:
        """End every live session, as an operator would."""
        for each in list(self.state.records):
            self._store().end(each, EndReason.REVOKED)

    def revoke_user(self, user: str) -> None:
        """Log a user out everywhere."""
        self._store().end_user(self.desk(self.settings).tag(user), EndReason.REVOKED)

    def _store(self) -> MemoryStore:
        """The store without faults and without counting."""
        options = replace(self.settings.store_options(), clock=self.clock)
        return MemoryStore(options, state=self.state)

    # -- looking at it

    def live(self) -> list[tuple[str | None, dict[str, Any]]]:
        """User and data of each live session, oldest first."""
        store = self._store()
        return [
            (each["user"], each["data"])
            for each in self.contents()
            if isinstance(store.load(each["id"]), Live) and each["ends"] > self.clock()
        ]

    def contents(self) -> list[dict[str, Any]]:
        """Everything the store holds, opened."""
        desk = self.desk(self.settings)
        found = []
        for record in self.state.records.values():
            data, meta = desk.sealer.unseal(record).decode()
            found.append(
                {
                    "id": record.id,
                    "user": record.user_id,
                    "data": data,
                    "meta": meta,
                    "version": record.version,
                    "policy": record.policy,
                    "active": record.last_active_at,
                    "authenticated": record.authenticated_at,
                    "ends": desk.rules.not_after(record),
                }
            )
        return found

    def ended(self) -> list[tuple[str, str]]:
        """Id and reason of each tombstone."""
        return [(key, ended.reason.value) for key, (ended, _) in self.state.tombstones.items()]
