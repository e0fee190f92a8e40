"""One deployment, its browsers, the requests under way, and the only hands that touch the store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from openclaw_middleware import LoginRefused, SessionEnded, SessionSettings, StoreError
from openclaw_middleware.core import contract as ct
from openclaw_middleware.core.contract import Limit
from openclaw_middleware.core.events import Event
from openclaw_middleware.core.record import Record
from openclaw_middleware.core.token import Token
from openclaw_middleware.errors import StoreUnavailable
from openclaw_middleware.runtime import make_desk
from openclaw_middleware.stores.memory import MemoryStore
from openclaw_middleware.testing import Clock

from .effects import Data
from .oracle import Broken, Oracle, Seen
from .request import Request

KEY = "5pM0vZk3rXw8bQeY1nTgJ7uLdHsCfA2iOo9RaNqEyVtKxWj"
EXPECTED = (StoreError, LoginRefused, SessionEnded)

FATES = ("answered", "repeated", "late", "lost", "refused")
"""What becomes of one store call: `repeated`: performed, the answer lost, performed again at once
by the store's shell; `late`: the same, with others in between; `lost`: performed, and the
application gets an error; `refused`: not performed."""


@dataclass
class Browser:
    """A cookie jar; `stored` is every token it ever held."""

    cookie: str | None = None
    held: list[str] = field(default_factory=list)

    def receive(self, cookies: list[str]) -> None:
        """Take over what a response says of our cookie."""
        for value in cookies:
            pair = value.partition(";")[0]
            self.cookie = None if "Max-Age=0" in value else pair.partition("=")[2]
            if self.cookie:
                self.held.append(self.cookie)


class World:
    """Requests interleaved at will.

    Args:
        store: a blocking store with a clock of its own; None: memory, with a clock we move.
        users: names that no other world uses.
        rules: overrides of the core's rules.
    """

    def __init__(
        self, store: Any = None, users: tuple[str, ...] = ("ada", "bob"), **rules: Any
    ) -> None:
        settings = SessionSettings.for_tests(secret_key=KEY)
        self.settable = store is None
        self.clock = Clock(1_700_000_000.0)
        desk = make_desk(settings)
        if self.settable:
            desk = make_desk(settings, wall=self.clock, monotonic=self.clock)
            options = replace(settings.store_options(), clock=self.clock)
            store = MemoryStore(options)
        limits = {"store_timeout": 1e12, "commit_deadline": 1e12}
        self.desk = replace(desk, rules=replace(desk.rules, **limits, **rules))
        self.desk.events.add([self._hear])
        self.store = store
        self.users = users
        self.browsers = [Browser(), Browser()]
        self.requests: list[Request] = []
        self.live: dict[str, Seen] = {}
        self.known: list[str] = []
        self.born: dict[str, int] = {}
        self.tick = 0
        self.steps = 0
        self.number = 0
        self.oracle = Oracle(self)
        self._speaker: Request | None = None
        self._opened: dict[bytes, Data] = {}

    # -- looking

    def now(self) -> float:
        """The store's time."""
        return self.clock() if self.settable else time.time()

    def content(self, record: Record) -> Data:
        """The data of a record, decoded anew."""
        return self.desk.sealer.unseal(record).decode()[0]  # type: ignore[no-any-return]

    def look(self, *, thoroughly: bool = False) -> dict[str, Seen]:
        """Every live record we know of."""
        live: dict[str, Seen] = {}
        for session_id in self.known:
            if session_id in self.oracle.dead and not (self.settable or thoroughly):
                continue
            found = self.store.load(session_id)
            if isinstance(found, ct.Live):
                live[session_id] = Seen(found.record, self.content(found.record))
        return live

    def check_thoroughly(self) -> None:
        """The dead are dead, also where looking at all of them each time would be slow."""
        risen = self.oracle.dead & set(self.look(thoroughly=True))
        if risen:
            raise Broken(f"dead sessions came back: {risen}")

    @contextmanager
    def speaking(self, request: Request) -> Iterator[None]:
        """Events heard meanwhile are of this request."""
        self._speaker = request
        try:
            yield
        finally:
            self._speaker = None

    def _hear(self, event: Event) -> None:
        if self._speaker is not None:
            self._speaker.told.append(event)
            self._speaker.all_told.append(event)

    # -- moves

    def begin(self, browser: Browser, *, genuine: bool = True, **info: Any) -> Request:
        """A browser sends a request."""
        self.tick += 1
        self.number += 1
        request = Request(self, browser, self.number, **info)
        request.genuine = genuine
        self.requests.append(request)
        request.load()
        return request

    def step(self, request: Request, fate: str = "answered") -> None:
        """Let the request's pending store call happen."""
        run = request.run
        if run is None or run.call is None:
            return
        call = run.call
        self.tick += 1
        self.steps += 1
        if call.verb == "pause":
            self._feed(request, lambda: run.answer(None))
            return
        if fate == "refused":
            error = StoreUnavailable("refused", store="test", operation=call.verb)
            self._feed(request, lambda: run.fail(error))
            return
        answer = self._perform(request, call)
        if fate == "late":
            return
        if fate == "repeated":
            answer = self._perform(request, call)
        if fate == "lost":
            lost = StoreUnavailable("lost", store="test", operation=call.verb, disconnected=True)
            self._feed(request, lambda: run.fail(lost))
            return
        if isinstance(answer, ct.Ended):
            request.known_dead.add(answer.id)
        elif isinstance(answer, ct.Missing) and call.args:
            named = call.args[0]
            request.known_dead.add(named if isinstance(named, str) else named.id)
        if call.verb == "load" and isinstance(answer, ct.Live):
            request.seen, request.seen_of = self.content(answer.record), answer.record
            if request.stage == "load":
                request.loaded = answer.record
        self._feed(request, lambda: run.answer(answer))

    def _perform(self, request: Request, call: Any) -> Any:
        self.tick += 1
        new = call.args[2] if call.verb == "succeed" else call.args[0] if call.args else None
        if call.verb in ("create", "succeed") and new.id not in self.known:
            self.known.append(new.id)
            self.born[new.id] = self.tick
        before = self.live
        repeat = call.times > 0
        answer = call.perform(self.store)
        self.live = self.look()
        self.oracle.judge(request, call, answer, before, self.live, repeat)
        return answer

    def _feed(self, request: Request, go: Any) -> None:
        with self.speaking(request):
            go()
        self.settle(request)

    def settle(self, request: Request) -> None:
        """If the request's body is over, go on to its next stage."""
        run = request.run
        if run is None or run.call is not None:
            return
        if run.error is not None and not isinstance(run.error, EXPECTED):
            raise run.error
        if run.name == "load":
            self.oracle.loaded(request)
            request.stage = "app"
        elif run.name == "take":
            if run.error is None:
                self.oracle.took(request, run.value)
            else:
                request.broken = run.error
            request.looked()
            request.stage = "app"
        elif run.name == "reload":
            request.broken = request.broken or run.error
            request.looked()
            request.stage = "app"
        elif run.name == "save":
            self._saved(request, run)
        elif run.name == "commit":
            self._committed(request, run)
        elif run.name == "touch":
            self._respond(request)

    def _saved(self, request: Request, run: Any) -> None:
        request.stage = "app"
        if isinstance(run.error, StoreUnavailable) and request.patient:
            request.waiting = True
            return
        if run.error is not None:
            # What is not caught becomes a server error.
            request.broken = run.error
            self._look_at_refusal(request, run.error)
            return
        self.oracle.acknowledged(request)
        request.committed()

    def _look_at_refusal(self, request: Request, error: BaseException) -> None:
        if isinstance(error, LoginRefused):
            self.oracle.refused(request)

    def _committed(self, request: Request, run: Any) -> None:
        if run.error is not None:
            self._look_at_refusal(request, run.error)
            self._deliver(request, request.x.parting_cookies(), parting=True)
            self._over(request)
            return
        self.oracle.acknowledged(request)
        request.committed()
        if not request.failed and request.x.touch_due():
            request.stage = "touch"
            request.start("touch", request.x.touch())
        else:
            self._respond(request)

    def _respond(self, request: Request) -> None:
        x = request.x
        if x.started:
            self._over(request)
            return
        x.started = True
        headers = x.finish_headers([])
        cookies = [value for name, value in headers if name == "Set-Cookie"]
        self._deliver(request, cookies, parting=False)
        if request.streams:
            request.stage = "app"
        else:
            self._over(request)

    def _deliver(self, request: Request, cookies: list[str], *, parting: bool) -> None:
        if request.x.started and parting:
            return
        self.oracle.answered(request, cookies, parting=parting)
        request.browser.receive(cookies)

    def _over(self, request: Request) -> None:
        request.stage = "over"
        request.run = None
        if request in self.requests:
            self.requests.remove(request)

    def crash(self, request: Request) -> None:
        """The process that serves it dies."""
        if request.run is not None:
            request.run.abandon()
        self._over(request)

    def close(self) -> None:
        """The game is over. What is left of its requests is ended here and not by the garbage
        collector: CPython does not survive a context variable that is reset within a `set`."""
        for request in list(self.requests):
            self.crash(request)

    def lose_response(self, request: Request) -> None:
        """Its response never reaches the browser."""
        request.browser = Browser()

    def finish(self, request: Request, fate: str = "answered") -> None:
        """Run what it waits for to the end, without anybody in between."""
        for _ in range(60):
            if request.run is None or request.run.call is None:
                return
            self.step(request, fate)
            fate = "answered"
        raise Broken("a body never ends")

    def advance(self, seconds: float) -> None:
        """Time passes, where it can be made to."""
        if not self.settable:
            return
        self.tick += 1
        self.clock.advance(seconds)
        self.live = self.look()
        self.oracle.dead |= set(self.oracle.active_at) - set(self.live)

    def erase_index(self) -> None:
        """Somebody deletes the lists of users' sessions."""
        if self.settable:
            self.store.state.users.clear()
            self.oracle.indexed = False

    def attack(self, victim: str, generation: int, secret: str) -> None:
        """Somebody presents a token with the right id under our own signature."""
        forged = self.desk.signer.sign(Token(victim, generation, secret))
        before = dict(self.live)
        request = self.begin(Browser(forged), genuine=False)
        self.finish(request)
        user = request.user
        request.read()
        request.commit()
        self.finish(request)
        if user is not None or set(self.live) != set(before):
            raise Broken("a guessed token opened or ended something")


def limit_of(count: int | None, action: str) -> Limit | None:
    """At most `count` sessions, or no limit."""
    return None if count is None else Limit(count, action)  # type: ignore[arg-type]
