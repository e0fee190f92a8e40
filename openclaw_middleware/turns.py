"""Commits on one session take turns within the process, which saves most conflicts.

Turns are a courtesy, correctness is the store's: whoever does not get one in time goes on without.
One body for both colours; the lock itself is the driver's.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
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
    _holder: Exchange | None = None
    _answered_at: float = -math.inf

    def begin(self, x: Exchange) -> None:
        """It is this exchange's turn."""
        self._holder = x

    def end(self, x: Exchange) -> None:
        """Its turn is over; the lock is still held."""
        self._holder = None
        self._answered_at = max(self._answered_at, x.answered_at)

    def wait(self, x: Exchange, acquire: Callable[[float], Any]) -> Steps[bool]:
        """Wait for the lock; False when one must go on without it.

        While the store answers those in front, the wait is bounded by the commit deadline, as
        conflicts are. While it is silent to them, the wait is store work of this request as well:
        writers on a store that answers nobody fail together, not one timeout after the other.

        Args:
            acquire: takes the lock within a number of seconds, in the driver's colour, or not.
        """
        clock, rules = x.desk.monotonic, x.rules
        began = clock()
        got = False
        while True:
            now = clock()
            silence = now - max(began, self._last_answer())
            left = rules.store_timeout - x.spent - silence
            patience = min(left, rules.commit_deadline - (now - began), threading.TIMEOUT_MAX)
            if got or patience <= 0:
                x.spent += silence
                return got
            got = yield acquire(patience)

    def _last_answer(self) -> float:
        holder = self._holder
        return self._answered_at if holder is None else max(self._answered_at, holder.answered_at)


@dataclass(slots=True)
class AllTurns:
    """The turns of every session being written to, made on demand and dropped with the last user.

    Args:
        make: a new lock.
    """

    make: Callable[[], Any]
    _of: dict[str, Turns] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, session_id: str) -> Turns:
        """Be counted among the users; `leave` must follow."""
        with self._guard:
            turns = self._of.get(session_id)
            if turns is None:
                turns = self._of[session_id] = Turns(self.make())
            turns.users += 1
            return turns

    def leave(self, session_id: str) -> None:
        """The counterpart of `enter`."""
        with self._guard:
            turns = self._of[session_id]
            turns.users -= 1
            if not turns.users:
                del self._of[session_id]
