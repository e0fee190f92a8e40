"""The deadline of store work: who sets it and who narrows it, and that none stays behind."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from openclaw_middleware import StoreUnavailable
from openclaw_middleware.core import deadline
from openclaw_middleware.core.steps import Steps
from openclaw_middleware.driver import Driver
from openclaw_middleware.testing import Fault, wrap

from .lab import Browser, Lab


class Slow(Fault):
    """Each verb takes 0.6 s by the lab's clock; notes how much time it was given."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.given: list[float] = []
        self.fails = False

    def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
        self.given.append(round(deadline.left(), 1))
        self.lab.clock.advance(0.6)
        if self.fails:
            raise StoreUnavailable("out of reach", operation=operation)
        answer = yield call()
        return answer


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
def slow(lab: Lab) -> Slow:
    return Slow(lab)


@pytest.fixture
def browser(lab: Lab, slow: Slow) -> Browser:
    browser = lab.browser()
    browser.sign_in("ada")
    lab.driver = Driver(wrap(lab.store, slow))
    return browser


def test_outside_store_work_there_is_no_end() -> None:
    assert deadline.left() == deadline.MOST
    assert not deadline.passed()


def test_a_verb_may_take_less_than_the_request_but_never_more() -> None:
    outer = deadline.begin(5)
    inner = deadline.narrow(1)
    assert 0.5 < deadline.left() <= 1
    deadline.end(inner)
    inner = deadline.narrow(60)
    assert 4 < deadline.left() <= 5
    deadline.end(inner)
    deadline.end(outer)
    assert deadline.left() == deadline.MOST


def test_when_the_time_is_up_one_may_still_look() -> None:
    """No time at all would mean "don't wait" to one client and "for ever" to another."""
    begun = deadline.begin(-1)
    assert deadline.passed()
    assert deadline.left() == deadline.LEAST
    deadline.end(begun)


def test_a_stray_end_does_not_count() -> None:
    """A copied context may bring along the end of somebody else's work."""
    stray = deadline.begin(-1)
    begun = deadline.begin(5)
    assert 4 < deadline.left() <= 5
    deadline.end(begun)
    deadline.end(stray)


def test_abandoned_work_does_not_end_somebody_elses() -> None:
    abandoned = contextvars.copy_context().run(deadline.begin, 1)
    begun = deadline.begin(5)
    deadline.end(abandoned)
    assert 4 < deadline.left() <= 5
    deadline.end(begun)


def test_each_call_gets_what_the_others_left(browser: Browser, slow: Slow) -> None:
    request = browser.request()
    request.session["a"] = 1
    request.finish()
    assert slow.given == [1.0, 0.4]
    assert deadline.left() == deadline.MOST


def test_listeners_are_told_outside_of_it(browser: Browser, lab: Lab, slow: Slow) -> None:
    """What they begin themselves has nothing to do with the failed call."""
    seen: list[float] = []
    lab.desk.events.add([lambda event: seen.append(deadline.left())])
    slow.fails = True
    browser.request()
    assert seen == [deadline.MOST]


def test_work_after_the_response_has_time_of_its_own(browser: Browser, slow: Slow) -> None:
    """A socket may save a thousand times; no single time may take long."""
    request = browser.request()
    assert request.session.user_id == "ada"
    request.x.started = True
    for number in range(3):
        request.session["n"] = number
        request.session.save()
    assert slow.given == [1.0, 1.0, 1.0, 1.0]
    assert request.session.take("n") == 2
    request.session.reload()
    assert slow.given[4:] == [1.0, 1.0]


def test_a_touch_after_the_response_has_what_is_left(
    browser: Browser, lab: Lab, slow: Slow
) -> None:
    lab.clock.advance(600)
    request = browser.request()
    assert request.session.user_id == "ada"
    request.x.started = True
    lab.driver.touch(request.x)
    assert slow.given == [1.0, 0.4]


def test_calls_with_little_time_left_do_not_open_the_breaker(
    browser: Browser, lab: Lab, slow: Slow
) -> None:
    """Three writes cut short in a row say that the store is slow; readers are still served."""
    requests = [browser.request() for _ in range(3)]
    slow.fails = True
    for request in requests:
        request.session["a"] = 1
        with pytest.raises(StoreUnavailable):
            request.finish()
    slow.fails = False
    assert browser.user() == "ada"


def test_abandoned_work_leaves_the_context_alone() -> None:
    """Its cleaning up may run anywhere, even while this variable is being set."""

    def work(seconds: float) -> Steps[None]:
        begun = deadline.begin(seconds)
        try:
            yield None
        finally:
            deadline.end(begun)

    outer = deadline.begin(500)
    abandoned = work(60)
    next(abandoned)
    inner = deadline.begin(5)
    abandoned.close()
    assert deadline.left() < 6
    deadline.end(inner)
    deadline.end(outer)


def test_work_within_something_being_closed_ends_as_any_other() -> None:
    def closing() -> Iterator[None]:
        try:
            yield
        finally:
            deadline.end(deadline.begin(5))

    outer = deadline.begin(500)
    stream = closing()
    next(stream)
    stream.close()  # type: ignore[attr-defined]  # a generator
    assert deadline.left() > 400
    deadline.end(outer)
