"""The calls of one request to the store: within its time, past the breaker, by the store's clock.

Whatever is asked goes through `trip`. Nothing about sessions in here.
"""

from __future__ import annotations

import math
from typing import Any

from ..errors import SessionStateError, StoreError, StoreUnavailable
from . import deadline
from . import events as ev
from .breaker import Breaker
from .desk import Desk
from .outage import tell_of_failure, tell_of_recovery
from .policy import Rules
from .steps import Steps


class Trips:
    """The store's side of one request.

    Attributes:
        store, breaker: set by the driver, of its colour, before a body is run.
        began: when the request began, of the desk's monotonic clock.
        started: the response headers have left.
        trips: how many store calls were made.
        spent: seconds of the store's time used up so far, waiting for one's turn included.
        silent: from when to when the store last left this request without an answer, of the
            desk's monotonic clock; empty once it has answered, endless during a call.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.store: Any = None
        self.breaker = Breaker()
        self.began = desk.monotonic()
        self.started = False
        self.trips = 0
        self.spent = 0.0
        self.silent = (self.began, self.began)
        self._clock: tuple[float, float] | None = None

    @property
    def rules(self) -> Rules:
        return self.desk.rules

    def at(self, moment: float) -> float:
        """The store's time at a moment of the monotonic clock, on the early side."""
        if self._clock is None:
            raise SessionStateError("no store call has told the time yet")
        store_now, seen_at = self._clock
        return round(store_now + (moment - seen_at), 6)

    @property
    def clocked(self) -> bool:
        """Whether a store call has told the time, so that `at` can answer."""
        return self._clock is not None

    def store_now(self) -> Steps[float]:
        """The store's time now, asking it only if no call told it yet."""
        if self._clock is None:
            now: float = yield from self.trip("now")
            self._clock = (now, self.desk.monotonic())
        return self.at(self.desk.monotonic())

    def renew_time(self) -> None:
        """Nobody waits for a response that has started: later store work has time of its own."""
        if self.started:
            self.spent = 0.0

    def trip(self, verb: str, *args: Any, **keywords: Any) -> Steps[Any]:
        """One store call, counted and charged to the request's time budget."""
        timeout = self.rules.store_timeout
        left = timeout - self.spent
        if left <= 0:
            raise StoreUnavailable(
                f"the store work of this request took longer than {timeout:g} s", operation=verb
            )
        began = self.desk.monotonic()
        self.breaker.check(verb, began, left)
        self.trips += 1
        self.silent = began, math.inf
        try:
            begun = deadline.begin(left)
            try:
                answer = yield getattr(self.store, verb)(*args, **keywords)
            finally:
                deadline.end(begun)
                ended = self.desk.monotonic()
                self.spent += ended - began
                self.silent = began, ended
        except StoreError as error:
            # One that had little time left to begin with says little about the store.
            if left >= timeout / 2 or ended - began < left:
                tell_of_failure(verb, self.breaker.failed(verb, ended), error)
            self.desk.emit(ev.StoreFailed(operation=verb, error=str(error)))
            raise
        if self.breaker.answered(verb):
            tell_of_recovery(verb)
        self.silent = ended, ended
        now = getattr(answer, "now", None)
        if now is not None:
            self._clock = (now, ended)
        return answer
