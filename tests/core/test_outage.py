"""An outage is not a logout (P8): what a request gets when the store fails, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from openclaw_middleware import StoreUnavailable
from openclaw_middleware.core import events as ev
from openclaw_middleware.core.breaker import Breaker
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


def test_a_cookie_under_an_earlier_name_stays_as_well() -> None:
    """Its deletion goes with the answer that brings its successor, and with no other."""
    _, browser = prepared(Outage(), previous_cookies=("old_session",))
    request = browser.request(cookies=f"old_session={browser.cookie}")
    with pytest.raises(StoreUnavailable):
        request.session.get("a")
    with pytest.raises(StoreUnavailable):
        request.finish()
    assert request.x.stray
    assert request.x.parting_cookies() == []


def test_a_token_that_could_not_be_renewed_under_a_new_name_stays() -> None:
    """The browser has nothing else: deleting the former cookie would sign it out."""
    outage = Outage("load")
    lab = Lab(rotation_interval=60, cookie_name="new", previous_cookies=[{"name": "old"}])
    lab.driver = Driver(wrap(lab.store, outage))
    browser = lab.browser()
    browser.sign_in("ada")
    former = f"old={browser.cookie}"
    request = browser.request(cookies=former)
    assert request.session.user_id == "ada"
    outage.on = True
    request.finish()
    assert request.set_cookies == []

    outage.on = False
    later = browser.request(cookies=former)
    assert later.session.user_id == "ada"
    later.finish()
    assert [value.partition("=")[0] for value in later.set_cookies] == ["old", "new"]


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
    request = browser.request()
    assert request.session.user_id is None
    assert request.session.to_dict() == {}
    request.finish()
    # Asked twice it might answer differently, and the page would be half of each.
    [error] = seen
    assert isinstance(error, StoreUnavailable)


@pytest.mark.parametrize("answer", [ZeroDivisionError, "anonymus", None, 503])
def test_a_function_that_fails_or_answers_neither_has_chosen_unavailable(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A 503 with the cookie kept, not a server error; the log names the mistake."""

    def choose(_: BaseException) -> Any:
        if isinstance(answer, type):
            raise answer
        return answer

    _, browser = prepared(Outage(), on_store_error=choose)
    request = browser.request()
    with pytest.raises(StoreUnavailable):
        request.session.get("a")
    with pytest.raises(StoreUnavailable):
        request.finish()
    assert request.x.parting_cookies() == []
    said = [record for record in caplog.records if "on_store_error" in record.getMessage()]
    assert len(said) == 1
    assert (said[0].exc_info is not None) == isinstance(answer, type)


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


def test_a_store_that_refuses_to_save_still_lets_people_read_and_log_out() -> None:
    """Full or read-only: writers are told, and asked for a probe only; nobody else is refused."""
    outage = Outage("save")
    lab, browser = prepared(outage)
    others = [lab.browser() for _ in range(2)]
    outage.on = False
    for each in others:
        each.sign_in("bob")
    outage.on = True
    writers = [browser.request() for _ in range(8)]
    for each in writers:
        each.session["a"] = 2
        with pytest.raises(StoreUnavailable):
            each.finish()
    assert outage.asked == 3

    assert browser.data() == {"a": 1}
    others[0].request().finish()
    bye = others[1].request()
    bye.session.logout()
    bye.finish()
    assert others[1].cookie is None
    assert browser.user() == "ada"
    assert lab.browser().sign_in("eve")


def test_writes_that_fail_are_counted_though_reads_in_between_are_answered() -> None:
    """A stuck disk: each writer would otherwise wait for the timeout, for ever."""
    outage = Outage("save")
    lab, browser = prepared(outage)

    def write() -> None:
        request = browser.request()
        request.session["a"] = 2
        request.finish()

    for _ in range(20):
        with pytest.raises(StoreUnavailable):
            write()
    assert outage.asked == 3

    outage.on = False
    lab.clock.advance(1)
    write()
    write()
    assert browser.data() == {"a": 2}


def test_once_a_store_that_could_not_even_read_answers_everybody_may_ask_for_everything() -> None:
    """Saves that failed in the same outage do not wait for a probe of their own."""
    breaker = Breaker()
    for verb in ("save", "load"):
        for _ in range(3):
            breaker.failed(verb, 0.0)
    breaker.check("load", 1.0)
    assert breaker.answered("load")
    for _ in range(2):
        breaker.check("save", 1.0)
        breaker.check("load", 1.0)
    assert not breaker.answered("load")


def test_a_read_that_failed_once_says_nothing_of_the_saves() -> None:
    """One lost answer while the disk is full: the saves are still refused, and nobody is told that
    the store answers again."""
    breaker = Breaker()
    for _ in range(3):
        breaker.failed("save", 0.0)
    breaker.failed("load", 0.0)
    assert not breaker.answered("load")
    with pytest.raises(StoreUnavailable):
        breaker.check("save", 0.5)
    for now in (0.5, 0.6):
        breaker.failed("load", now)
    assert not breaker.open("load")


def test_while_a_probe_is_out_there_is_no_other() -> None:
    """With a long `store_timeout`, probes do not pile up on a store that answers nothing."""
    breaker = Breaker()
    for _ in range(3):
        breaker.failed("load", 0.0)
    breaker.check("load", 1.0, 30.0)
    for now in (1.0, 2.5, 30.9):
        with pytest.raises(StoreUnavailable):
            breaker.check("load", now, 30.0)
        with pytest.raises(StoreUnavailable):
            breaker.check("create", now, 30.0)
    # It was never heard of again: its request was cancelled.
    breaker.check("load", 31.0, 30.0)


def test_a_request_says_how_long_its_probe_may_take() -> None:
    """As long as it has store time left."""
    outage = Outage()
    lab, browser = prepared(outage, store_timeout=30)
    for _ in range(3):
        browser.request()
    asked: list[int] = []

    class Silent(Fault):
        def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
            asked.append(1)
            if len(asked) == 1:
                lab.clock.advance(2)
                browser.request()
            yield from outage.around(operation, call)

    lab.driver.store = wrap(lab.store, Silent())
    lab.clock.advance(1)
    browser.request()
    assert len(asked) == 1


def test_the_log_says_when_an_outage_begins_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    """An operator learns of it without a listener, in three lines and not one a request."""
    outage = Outage("load")
    lab, browser = prepared(outage)
    for _ in range(100):
        browser.request()
        lab.clock.advance(0.1)
    outage.on = False
    lab.clock.advance(1)
    browser.request()
    browser.request()
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in said] == ["WARNING", "ERROR", "WARNING"]
    assert [text for _, text in said] == [
        "out of reach",
        "the store failed 3 times in a row (load); until it answers, it is asked this once in 1 s: "
        "out of reach",
        "the store answers again (load)",
    ]


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
