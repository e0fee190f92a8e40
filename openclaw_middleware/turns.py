"""Commits on one session take turns within the process, which saves most conflicts.

Turns are a courtesy, correctness is the store's: whoever does not get one in time goes on without.
Only tasks of one request, which share its state, are never at work at once.
One body for both colours; the lock itself is the driver's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from .core.exchange import Exchange
from .core.steps import Steps


@dataclass(slots=True)
class Turns:
    """The turns on one session.

    Attributes:
        lock: held by the one whose turn it is.
        users: who holds the lock or waits for it.
    """

    lock: Any
    users: int = 0
    _holder: tuple[Exchange, tuple[float, float]] | None = None
    _silent: tuple[float, float] = (0.0, 0.0)

    def begin(self, x: Exchange) -> None:
        """It is this exchange's turn."""
        self._holder = x, x.silent

    def end(self, x: Exchange) -> None:
        """Its turn is over; the lock is still held."""
        asked = self._asked()
        self._holder = None
        if asked is None:
            # It has not asked the store, its time being up: what it was told before is old.
            return
        since, until = asked
        before, ended = self._silent
        if since < until and before < ended:
            # Nobody has been answered in between.
            since = min(before, since)
        self._silent = since, until

    def wait(self, x: Exchange, acquire: Callable[[float], Any]) -> Steps[bool]:
        """Wait for the lock; False when one must go on without it.

        While the store answers those in front, the wait is bounded by the commit deadline, as
        conflicts are. While a call of theirs is without an answer, the wait is store work of this
        request as well: writers on a store that answers nobody fail together, not one timeout
        after the other. What they do between their calls is not the store's time.

        Args:
            acquire: takes the lock within a number of seconds, in the driver's colour, or not.
        """
        clock, rules = x.desk.monotonic, x.rules
        began = clock()
        got = False
        while True:
            now = clock()
            silence = self._silence(began, now)
            left = rules.store_timeout - x.spent - silence
            patience = min(left, rules.commit_deadline - (now - began), threading.TIMEOUT_MAX)
            if got or patience <= 0:
                x.spent += silence
                return got
            got = yield acquire(patience)

    def _silence(self, began: float, now: float) -> float:
        """For how many seconds of the wait the store has answered nobody."""
        spans = [self._silent]
        # Second, so that a turn ending just now is not counted twice.
        asked = self._asked()
        if asked is not None:
            spans.append(asked)
        return sum(max(0.0, min(until, now) - max(since, began)) for since, until in spans)

    def _asked(self) -> tuple[float, float] | None:
        """The last silence whoever holds the turn has met in it; None without a call so far."""
        held = self._holder
        if held is None:
            return None
        holder, before = held
        met = holder.silent
        return None if met is before else met


@dataclass(slots=True)
class AllTurns:
    """The turns on everything being written to, made on demand and dropped with the last user.

    Args:
        make: a new lock.
    """

    make: Callable[[], Any]
    _of: dict[Hashable, Turns] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, whose: Hashable) -> Turns:
        """Be counted among the users; `leave` must follow."""
        with self._guard:
            turns = self._of.get(whose)
            if turns is None:
                turns = self._of[whose] = Turns(self.make())
            turns.users += 1
            return turns

    def leave(self, whose: Hashable) -> None:
        """The counterpart of `enter`."""
        with self._guard:
            turns = self._of[whose]
            turns.users -= 1
            if not turns.users:
                del self._of[whose]
