"""How commits on one session wait for each other: how long, and whose time it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from openclaw_middleware import StoreUnavailable
from openclaw_middleware.core.steps import Steps, drive
from openclaw_middleware.driver import Driver
from openclaw_middleware.testing import Clock, Fault, wrap
from openclaw_middleware.turns import AllTurns, Turns

from ..core.lab import Lab

STORE_TIMEOUT, COMMIT_DEADLINE = 1.0, 5.0


class Queue:
    """Turns on a session, and a clock that only waiting moves.

    Args:
        meanwhile: called at each tenth of a second of waiting; True gives the lock.
    """

    def __init__(self, meanwhile: Callable[[], bool | None]) -> None:
        self.clock = Clock(1000.0)
        self.turns = Turns(lock=None)
        self.meanwhile = meanwhile

    def exchange(self, spent: float = 0.0) -> Any:
        rules = SimpleNamespace(store_timeout=STORE_TIMEOUT, commit_deadline=COMMIT_DEADLINE)
        desk = SimpleNamespace(monotonic=self.clock)
        x = SimpleNamespace(desk=desk, rules=rules, spent=spent)
        self.answer(x)
        return x

    def answer(self, x: Any) -> None:
        x.silent = self.clock(), self.clock()

    def ask(self, x: Any) -> None:
        x.silent = self.clock(), math.inf

    def fail(self, x: Any) -> None:
        x.silent = x.silent[0], self.clock()

    def asking(self) -> Any:
        """One whose turn it is, in its first call."""
        x = self.exchange()
        self.turns.begin(x)
        self.ask(x)
        return x

    def _acquire(self, seconds: float) -> bool:
        assert seconds > 0
        until = self.clock() + seconds
        while self.clock() < until:
            self.clock.advance(min(0.1, until - self.clock()))
            if self.meanwhile():
                return True
        return False

    def wait(self, x: Any) -> tuple[bool, float]:
        """Whether the turn came, and after how many seconds."""
        began = self.clock()
        return drive(self.turns.wait(x, self._acquire)), self.clock() - began


def test_a_silent_store_is_waited_for_as_long_as_one_call_of_ones_own() -> None:
    queue = Queue(lambda: False)
    queue.asking()
    x = queue.exchange(spent=0.3)
    got, waited = queue.wait(x)
    assert not got
    assert waited == pytest.approx(0.7)
    assert x.spent == pytest.approx(STORE_TIMEOUT), "so that nothing of its own begins"


def test_while_the_store_answers_those_in_front_the_commit_deadline_counts() -> None:
    front: Any = None

    def answered() -> None:
        queue.answer(front)
        queue.ask(front)

    queue = Queue(answered)
    front = queue.asking()
    x = queue.exchange()
    got, waited = queue.wait(x)
    assert not got, "it goes on without"
    assert waited == pytest.approx(COMMIT_DEADLINE)
    assert x.spent == pytest.approx(0.0, abs=0.11), "with all the time of its own"


def test_the_turn_of_one_who_was_answered_costs_nothing() -> None:
    def over() -> bool:
        if queue.clock() < 1000.7:
            return False
        queue.answer(front)
        queue.turns.end(front)
        return True

    queue = Queue(over)
    front = queue.asking()
    x = queue.exchange()
    got, waited = queue.wait(x)
    assert got
    assert waited == pytest.approx(0.7)
    assert x.spent == pytest.approx(0.0)


def test_the_turn_of_one_who_was_not_answered_is_charged() -> None:
    def over() -> bool:
        if queue.clock() < 1000.7:
            return False
        queue.fail(front)
        queue.turns.end(front)
        return True

    queue = Queue(over)
    front = queue.asking()
    x = queue.exchange()
    got, _ = queue.wait(x)
    assert got
    assert x.spent == pytest.approx(0.7)


def test_silence_is_counted_from_the_last_answer_to_anybody_in_front() -> None:
    """One was answered at 0.4, the next never: the third waits until 1.4."""
    first: Any = None

    def change() -> None:
        if first.silent[1] == math.inf and 1000.35 < queue.clock() < 1000.45:
            queue.answer(first)
            queue.turns.end(first)
            queue.asking()

    queue = Queue(change)
    first = queue.asking()
    x = queue.exchange()
    got, waited = queue.wait(x)
    assert not got
    assert waited == pytest.approx(1.4)


def test_time_spent_outside_the_store_is_nobodys_silence() -> None:
    """A slow listener of events in front: the store owes nobody an answer."""
    queue = Queue(lambda: queue.clock() > 1002.95)
    front = queue.asking()
    queue.answer(front)
    x = queue.exchange()
    got, waited = queue.wait(x)
    assert got
    assert waited == pytest.approx(3.0)
    assert x.spent == 0.0


def test_a_call_is_silence_only_from_its_beginning() -> None:
    """Two seconds outside the store, then a call that is not answered."""

    def change() -> None:
        if front.silent[1] != math.inf and queue.clock() > 1001.95:
            queue.ask(front)

    queue = Queue(change)
    front = queue.asking()
    queue.answer(front)
    x = queue.exchange()
    got, waited = queue.wait(x)
    assert not got
    assert waited == pytest.approx(3.0)


def test_failures_one_after_the_other_are_one_silence() -> None:
    """The first in front gives up at 0.4, the next goes on asking: the third waits until 1.0."""

    def change() -> None:
        if first.silent[1] == math.inf and queue.clock() > 1000.35:
            queue.fail(first)
            queue.turns.end(first)
            queue.asking()

    queue = Queue(change)
    first = queue.asking()
    x = queue.exchange()
    got, waited = queue.wait(x)
    assert not got
    assert waited == pytest.approx(1.0)


def test_a_turn_without_a_call_hides_no_silence() -> None:
    """The second in front has no time left when its turn comes: the third was not answered
    meanwhile, and has none left either."""

    def change() -> bool:
        if queue.clock() < 1000.95:
            return False
        queue.fail(first)
        queue.turns.end(first)
        queue.turns.begin(second)
        queue.turns.end(second)
        return True

    queue = Queue(change)
    second = queue.exchange()
    first = queue.asking()
    x = queue.exchange()
    got, waited = queue.wait(x)
    assert got
    assert waited == pytest.approx(1.0)
    assert x.spent == pytest.approx(STORE_TIMEOUT)


def test_what_one_in_front_met_before_its_turn_is_not_counted_twice() -> None:
    """It had failed already, in a turn before: at 0.4 its next one begins, without a call."""

    def change() -> None:
        if first.silent[1] == math.inf and queue.clock() > 1000.35:
            queue.fail(first)
            queue.turns.end(first)
            queue.turns.begin(first)

    queue = Queue(lambda: change() or queue.clock() > 1000.95)
    first = queue.asking()
    x = queue.exchange()
    got, waited = queue.wait(x)
    assert got
    assert waited == pytest.approx(1.0)
    assert x.spent == pytest.approx(0.4)


def test_an_exchange_is_silent_during_a_call_and_after_one_that_failed() -> None:
    lab = Lab()
    seen: list[tuple[float, float]] = []

    class Slow(Fault):
        def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
            seen.append(request.x.silent)
            lab.clock.advance(0.2)
            if operation == "save":
                raise StoreUnavailable("out of reach")
            answer = yield call()
            return answer

    browser = lab.browser()
    browser.visit(n=0)
    lab.driver = Driver(wrap(lab.store, Slow()))
    began = lab.clock()
    request = browser.request(load=False)
    lab.driver.load(request.x)
    assert request.x.silent == (lab.clock(), lab.clock())
    request.session["n"] = 1
    with pytest.raises(StoreUnavailable):
        request.finish()
    assert seen == [(began, math.inf), (began + 0.2, math.inf)]
    assert request.x.silent == (began + 0.2, lab.clock())


def test_nothing_is_waited_for_when_all_time_is_used_up() -> None:
    queue = Queue(lambda: False)
    queue.turns.begin(queue.exchange())
    assert queue.wait(queue.exchange(spent=STORE_TIMEOUT)) == (False, 0.0)


def test_turns_are_forgotten_with_their_last_user() -> None:
    turns = AllTurns(object)
    first = turns.enter("a")
    assert turns.enter("a") is first
    turns.leave("a")
    assert turns.enter("b") is not first
    assert turns.enter("a") is first
    turns.leave("a")
    turns.leave("a")
    again = turns.enter("a")
    assert again is not first
    assert again.users == 1
