"""An outage is not a logout (P8): what a request gets when the store fails, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from openclaw_middleware import StoreUnavailable
from openclaw_middleware.core import events as ev
from openclaw_middleware.core.steps import Steps
from openclaw_middleware.driver import Driver
from openclaw_middleware.testing import Fault, wrap

from .lab import Browser, Lab


class Outage(Fault):
    """Fails the named verbs (all, when none is named) while `on`; counts what was asked."""

    def __init__(self, *verbs: str) -> None:
        self.verbs = verbs
        self.on = False
        self.asked = 0

    def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
        if self.on and (not self.verbs or operation in self.verbs):
            self.asked += 1
            raise StoreUnavailable("out of reach", operation=operation)
        answer = yield call()
        return answer


def prepared(outage: Outage, **settings: Any) -> tuple[Lab, Browser]:
    lab = Lab(**settings)
    lab.driver = Driver(wrap(lab.store, outage))
    browser = lab.browser()
    browser.sign_in("ada")
    browser.visit(a=1)
    outage.on = True
    return lab, browser


def test_a_failed_load_is_raised_at_first_access_and_not_before() -> None:
    """A page that does not look at the session is served."""
    _, browser = prepared(Outage())
    public = browser.request()
    public.finish()
    assert public.headers == []

    private = browser.request()
    with pytest.raises(StoreUnavailable):
        private.session.get("a")


def test_a_swallowed_failure_is_still_a_503_and_the_cookie_stays() -> None:
    """The application caught the error and went on as if nobody were signed in."""
    lab, browser = prepared(Outage())
    cookie = browser.cookie
    request = browser.request()
    with pytest.raises(StoreUnavailable):
        request.session.get("a")

    with pytest.raises(StoreUnavailable):
        request.finish()

    assert browser.cookie == cookie
    assert request.x.parting_cookies() == []
    assert len(lab.told(ev.StoreFailed)) == 1


@pytest.mark.parametrize("use", ["set", "login", "regenerate", "clear_key", "save"])
def test_nothing_is_created_over_a_session_that_could_not_be_loaded(use: str) -> None:
    """The record in the store is the same afterwards."""
    outage = Outage("load")
    lab, browser = prepared(outage)
    before = dict(lab.store.state.records)  # type: ignore[attr-defined]
    request = browser.request()
    session = request.session
    actions: dict[str, Callable[[], object]] = {
        "set": lambda: session.update(a=2),
        "login": lambda: session.login("ada"),
        "regenerate": session.regenerate,
        "clear_key": lambda: session.pop("a", None),
        "save": session.save,
    }

    with pytest.raises(StoreUnavailable):
        actions[use]()
    with pytest.raises(StoreUnavailable):
        request.finish()

    assert lab.store.state.records == before  # type: ignore[attr-defined]


def test_a_failed_logout_is_told_and_clears_the_browser() -> None:
    """The client gets an error, and this browser at least forgets the cookie."""
    _, browser = prepared(Outage())
    request = browser.request()
    request.session.logout()

    with pytest.raises(StoreUnavailable):
        request.finish()

    assert "Max-Age=0" in request.x.parting_cookies()[0]


def test_a_logout_whose_end_fails_is_told_and_clears_the_browser() -> None:
    """Loaded in time, but the store failed when the record was to end."""
    _, browser = prepared(Outage("end"))
    request = browser.request()
    request.session.logout()

    with pytest.raises(StoreUnavailable):
        request.finish()

    assert "Max-Age=0" in request.x.parting_cookies()[0]


def test_a_failed_commit_is_not_reported_as_a_success() -> None:
    """Saving fails: the error reaches the driver, the old data are intact."""
    outage = Outage("save")
    _, browser = prepared(outage)
    request = browser.request()
    request.session["a"] = 2

    with pytest.raises(StoreUnavailable):
        request.finish()

    outage.on = False
    assert browser.data() == {"a": 1}


def test_under_anonymous_the_visitor_reads_as_nobody_and_cannot_write() -> None:
    """The chosen policy serves pages without a session; nothing is written over it."""
    outage = Outage()
    _, browser = prepared(outage, on_store_error="anonymous")
    cookie = browser.cookie
    request = browser.request()
    assert request.session.user_id is None
    assert request.session.to_dict() == {}
    with pytest.raises(StoreUnavailable):
        request.session["a"] = 2
    request.finish()

    outage.on = False
    assert browser.cookie == cookie
    assert browser.data() == {"a": 1}


def test_the_policy_may_be_chosen_by_a_function() -> None:
    """It is given the error and answers with one of the two names."""
    seen: list[BaseException] = []

    def choose(error: BaseException) -> str:
        seen.append(error)
        return "anonymous"

    _, browser = prepared(Outage(), on_store_error=choose)
    assert browser.request().session.user_id is None
    assert isinstance(seen[0], StoreUnavailable)


def test_after_three_failures_the_store_is_left_alone_but_for_one_probe_a_second() -> None:
    """A hundred requests wait for at most four timeouts; recovery needs no restart."""
    outage = Outage()
    lab, browser = prepared(outage)
    for _ in range(100):
        browser.request()
    assert outage.asked == 3

    lab.clock.advance(1)
    for _ in range(100):
        browser.request()
    assert outage.asked == 4

    outage.on = False
    lab.clock.advance(1)
    assert browser.user() == "ada"
    assert browser.user() == "ada"


def test_a_failing_store_is_logged_without_a_listener(caplog: pytest.LogCaptureFixture) -> None:
    """Else people see 503 and operators nothing; but a dead store fills no log."""
    outage = Outage()
    lab, browser = prepared(outage)
    lab.desk.events.listeners.clear()
    for _ in range(100):
        browser.request()
    said = [(each.levelname, each.getMessage()) for each in caplog.records]
    assert said == [("WARNING", "the store failed in load: out of reach")] * 3


def test_anonymous_visitors_do_not_notice() -> None:
    """No cookie, nothing written: the store is not asked."""
    outage = Outage()
    lab, _ = prepared(outage)
    request = lab.browser().request()
    assert request.session.get("a") is None
    request.finish()
    assert outage.asked == 0


def test_one_deadline_bounds_the_store_work_of_a_request() -> None:
    """A store slow enough to use up the request's time is not asked again."""
    lab = Lab()
    browser = lab.browser()
    browser.sign_in("ada")

    class Slow(Fault):
        def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
            lab.clock.advance(0.6)
            answer = yield call()
            return answer

    lab.driver = Driver(wrap(lab.store, Slow()))
    request = browser.request()
    request.session["a"] = 1
    request.session.save()
    request.session["b"] = 1

    with pytest.raises(StoreUnavailable, match="longer than 1 s"):
        request.finish()
