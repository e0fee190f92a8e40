"""A write whose answer is lost is stored or not; whichever it is, nothing takes place twice.

The application swallows the error of its `save()` and goes on; the end of the request, or the next
`save()`, brings it to an end.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from openclaw_middleware import (
    EndReason,
    LoginSuperseded,
    SessionLimitReached,
    StoreConflict,
    StoreUnavailable,
)
from openclaw_middleware.core import events as ev
from openclaw_middleware.core.steps import Steps
from openclaw_middleware.driver import Driver
from openclaw_middleware.testing import Fault, LostReplies, wrap

from .lab import Browser, Lab, Request


class Refused(Fault):
    """Fails verbs without performing them, once."""

    def __init__(self, verb: str) -> None:
        self.verbs = [verb]

    def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
        if operation in self.verbs:
            self.verbs.remove(operation)
            raise StoreUnavailable("out of reach", operation=operation)
        answer = yield call()
        return answer


FATES: dict[str, Callable[[str], Fault]] = {"lost": LostReplies, "refused": Refused}
fates = pytest.mark.parametrize("fate", FATES)
between = pytest.mark.parametrize("between", ["nobody", "another writer", "two more writers"])


@pytest.fixture
def lab() -> Lab:
    return Lab()


def begin(browser: Browser, fate: str, verb: str) -> Request:
    """A request the first such call of which goes wrong."""
    lab = browser.lab
    whole = lab.driver
    lab.driver = Driver(wrap(lab.store, FATES[fate](verb)))
    request = browser.request()
    lab.driver = whole
    return request


def fail(save: Callable[[], object]) -> None:
    with pytest.raises(StoreUnavailable):
        save()


def signed_in(lab: Lab, **data: Any) -> Browser:
    browser = lab.browser()
    browser.sign_in("ada")
    browser.visit(**data)
    return browser


def interfere(browser: Browser, between: str) -> int:
    """How many others have written meanwhile."""
    many = {"nobody": 0, "another writer": 1, "two more writers": 2}[between]
    for number in range(many):
        other = browser.twin().request()
        other.session["log"].append(f"other {number}")
        other.session.apply("n", lambda n: n + 10)
        other.finish()
    return many


@fates
@between
@pytest.mark.parametrize("how", ["finish", "save", "reload", "take"])
def test_appends_and_increments_take_place_once(
    lab: Lab, fate: str, between: str, how: str
) -> None:
    """Whatever comes next in the request, and whoever writes in between."""
    browser = signed_in(lab, log=["first"], n=0, code="c")
    request = begin(browser, fate, "save")
    request.session["log"].append("mine")
    request.session.apply("n", lambda n: n + 1)
    fail(request.session.save)
    assert request.session.modified
    many = interfere(browser, between)
    if how == "save":
        request.session.save()
    elif how == "reload":
        request.session.reload()
        assert (request.session["log"].count("mine"), request.session["n"]) == (1, 1 + 10 * many)
    elif how == "take":
        assert request.session.take("code") == "c"
    request.finish()

    data = browser.data()
    assert sorted(data["log"]) == sorted(["first", "mine", *(f"other {i}" for i in range(many))])
    assert data["n"] == 1 + 10 * many
    assert not lab.told(ev.ChangesDropped)


@fates
@between
def test_what_is_done_after_the_failure_comes_on_top(lab: Lab, fate: str, between: str) -> None:
    """The same list, counter and keys are changed before and after the save that failed."""
    browser = signed_in(lab, log=["first"], n=0, gone=1, prefs={"x": 1})
    request = begin(browser, fate, "save")
    log = request.session["log"]
    log.append("before")
    request.session.apply("n", lambda n: n + 1)
    request.session["prefs"]["a"] = 1
    request.session["own"] = "before"
    fail(request.session.save)
    many = interfere(browser, between)
    log.append("after")
    request.session.apply("n", lambda n: n + 1)
    request.session["prefs"]["b"] = 2
    request.session["own"] = "after"
    del request.session["gone"]
    request.finish()

    data = browser.data()
    assert sorted(data["log"]) == sorted(
        ["first", "before", "after", *(f"other {i}" for i in range(many))]
    )
    assert data["n"] == 2 + 10 * many
    assert data["prefs"] == {"x": 1, "a": 1, "b": 2}
    assert (data["own"], "gone" in data) == ("after", False)


@fates
def test_it_may_fail_again(lab: Lab, fate: str) -> None:
    """The answer to the repetition is lost as well, after somebody else had written."""
    browser = signed_in(lab, log=[])
    request = begin(browser, fate, "save")
    request.session["log"].append(1)
    fail(request.session.save)
    interfere(signed_in(lab, log=[], n=0), "another writer")
    browser.visit(other=1)
    request.session._blocking = Driver(wrap(lab.store, LostReplies("save")))
    request.session["log"].append(2)
    fail(request.session.save)
    browser.visit(other=2)
    request.session["log"].append(3)
    request.finish()

    assert browser.data() == {"log": [1, 2, 3], "other": 2}


@fates
@pytest.mark.parametrize("tried", [False, True])
def test_after_half_a_minute_it_is_given_up(lab: Lab, fate: str, tried: bool) -> None:
    """Stores would not know it any more. What was done since is written by the next save, also
    where another attempt failed in between."""
    browser = signed_in(lab, log=[], n=0)
    request = begin(browser, fate, "save")
    request.x.started = True
    request.session["log"].append(1)
    fail(request.session.save)
    if tried:
        lab.clock.advance(20)
        request.session._blocking = Driver(wrap(lab.store, FATES[fate]("save")))
        fail(request.session.save)
    # Where the first was refused, the numbers of the versions are the same in the end.
    browser.visit(other=1)
    lab.clock.advance(6 if tried else 26)
    request.session["log"].append(2)
    with pytest.raises(StoreConflict, match="25 s"):
        request.session.save()
    assert [event.keys for event in lab.told(ev.ChangesDropped)] == [("log",)]
    request.session.save()

    assert browser.data() == {"log": [1, 2] if fate == "lost" else [2], "n": 0, "other": 1}


@fates
def test_a_logout_long_after_it_is_final(lab: Lab, fate: str) -> None:
    """A save given up for its age does not keep the session alive."""
    browser = signed_in(lab, log=[])
    request = begin(browser, fate, "save")
    request.session["log"].append(1)
    fail(request.session.save)
    lab.clock.advance(26)
    request.session.logout()
    request.finish()

    assert browser.twin().user() is None
    assert lab.store.sessions_of(lab.desk.tag("ada")).records == ()


@fates
@pytest.mark.parametrize("visitor", [False, True])
def test_a_sign_in_is_one_session(lab: Lab, fate: str, visitor: bool) -> None:
    """`login()`, a save that seemed to fail, and the end of the request: one session, its cookie
    in the browser, every change once."""
    browser = lab.browser()
    if visitor:
        browser.visit(cart=[1])
    request = begin(browser, fate, "succeed" if visitor else "create")
    request.session.login("ada")
    request.session.setdefault("cart", []).append(2)
    fail(request.session.save)
    assert (request.session.user_id, request.set_cookies) == ("ada", [])
    request.session["cart"].append(3)
    request.finish()

    assert browser.user() == "ada"
    assert browser.data() == {"cart": [1, 2, 3] if visitor else [2, 3]}
    assert len(lab.store.sessions_of(lab.desk.tag("ada")).records) == 1
    assert len(lab.told(ev.LoggedIn)) == 1


@fates
def test_a_sign_in_as_somebody_else_leaves_nothing_of_the_first(lab: Lab, fate: str) -> None:
    """The first may have been stored: it ends, though nobody ever had its token."""
    browser = lab.browser()
    request = begin(browser, fate, "create")
    request.session.login("ada")
    request.session["secret"] = 1
    fail(request.session.save)
    request.session.login("bob")
    request.session["mine"] = 1
    request.finish()

    assert (browser.user(), browser.data()) == ("bob", {"mine": 1})
    assert lab.store.sessions_of(lab.desk.tag("ada")).records == ()


@fates
@pytest.mark.parametrize("failed", [False, True])
@pytest.mark.parametrize("step", ["login", "regenerate", "write"])
def test_a_logout_after_it_is_final(lab: Lab, fate: str, failed: bool, step: str) -> None:
    """Neither the old session nor the one that may have been made lives on."""
    browser = signed_in(lab, a=1)
    old = browser.twin()
    request = begin(browser, fate, "save" if step == "write" else "succeed")
    if step == "login":
        request.session.login("ada")
    elif step == "regenerate":
        request.session.regenerate()
    request.session["b"] = 1
    fail(request.session.save)
    request.session.logout()
    request.finish(failed=failed)

    assert old.user() is None
    assert lab.store.sessions_of(lab.desk.tag("ada")).records == ()


@fates
def test_a_logout_before_it_is_final(lab: Lab, fate: str) -> None:
    """`logout()` and `login()`, a save that seemed to fail, then the request fails altogether."""
    browser = signed_in(lab, a=1)
    request = begin(browser, fate, "succeed")
    request.session.logout()
    request.session.login("ada")
    fail(request.session.save)
    request.finish(failed=True)

    assert browser.twin().user() is None
    assert lab.store.sessions_of(lab.desk.tag("ada")).records == ()


@fates
def test_a_new_id_is_taken_once(lab: Lab, fate: str) -> None:
    """Also when a request under way has followed to it with its own changes."""
    browser = signed_in(lab, log=[])
    slow = browser.twin().request()
    slow.session["log"].append("slow")
    request = begin(browser, fate, "succeed")
    request.session.regenerate()
    request.session["n"] = 1
    fail(request.session.save)
    slow.finish()
    request.finish()

    assert browser.user() == "ada"
    assert browser.data() == {"log": ["slow"], "n": 1}


def test_a_sign_in_that_is_refused_in_the_end_is_none(lab: Lab) -> None:
    """It was not stored, and meanwhile the user was logged out everywhere."""
    elsewhere = signed_in(lab)
    browser = lab.browser()
    browser.visit(cart=[1])
    request = begin(browser, "refused", "succeed")
    request.session.login("ada")
    fail(request.session.save)
    lab.clock.advance(1)
    other = elsewhere.request()
    other.session.logout_everywhere()
    other.finish()
    with pytest.raises(LoginSuperseded):
        request.finish()

    assert (browser.user(), browser.data()) == (None, {"cart": [1]})


def test_a_logout_after_a_sign_in_that_is_refused_in_the_end_holds() -> None:
    """`login()`, a save that failed, `logout()`: the visitor's own session is over as well."""
    lab = Lab(max_sessions_per_user=1, on_limit="reject")
    signed_in(lab)
    browser = lab.browser()
    browser.visit(cart=[1])
    old = browser.twin()
    request = begin(browser, "refused", "succeed")
    request.session.login("ada")
    fail(request.session.save)
    request.session.logout()
    with pytest.raises(SessionLimitReached):
        request.finish()

    assert old.request().session.previous_end is EndReason.SIGNED_OUT


@fates
def test_a_session_that_ended_since_stays_ended(lab: Lab, fate: str) -> None:
    """The save finds a logout; the request answers normally."""
    browser = signed_in(lab, log=[])
    request = begin(browser, fate, "save")
    request.session["log"].append(1)
    fail(request.session.save)
    other = browser.twin().request()
    other.session.logout()
    other.finish()
    request.session["log"].append(2)
    request.finish()

    assert request.set_cookies == []
    assert browser.request().session.previous_end is EndReason.SIGNED_OUT


def test_a_failed_request_writes_nothing_more(lab: Lab) -> None:
    """What a save did not do before a server error is not done afterwards."""
    browser = signed_in(lab, log=[])
    request = begin(browser, "refused", "save")
    request.session["log"].append(1)
    fail(request.session.save)
    request.finish(failed=True)

    assert browser.data() == {"log": []}


@fates
def test_a_value_whose_taking_got_lost_is_taken_by_trying_again(lab: Lab, fate: str) -> None:
    """Nobody else has it, so it is not lost."""
    browser = signed_in(lab, code="c", keep=1)
    request = begin(browser, fate, "save")
    with pytest.raises(StoreUnavailable):
        request.session.take("code")
    browser.visit(other=1)
    assert request.session.take("code") == "c"
    assert request.session.take("code") is None
    request.finish()

    assert browser.data() == {"keep": 1, "other": 1}


@fates
@pytest.mark.parametrize("between", ["take", "save", "nothing"])
def test_each_value_whose_taking_got_lost_waits_for_its_own_key(
    lab: Lab, fate: str, between: str
) -> None:
    """Another key is taken, or something else is saved, before the first is tried again."""
    browser = signed_in(lab, code="c", ticket="t", keep=1)
    request = begin(browser, fate, "save")
    with pytest.raises(StoreUnavailable):
        request.session.take("code")
    if between == "take":
        assert request.session.take("ticket") == "t"
    elif between == "save":
        del request.session["ticket"]
        request.session.save()
    assert request.session.take("code") == "c"
    left = {"keep": 1, "ticket": "t"} if between == "nothing" else {"keep": 1}
    assert request.session.to_dict() == left
    assert request.session.take("code") is None
    request.finish()

    assert browser.data() == left


@fates
def test_two_values_whose_taking_got_lost_are_both_taken_by_trying_again(
    lab: Lab, fate: str
) -> None:
    """In the other order, and somebody else writes besides."""
    browser = signed_in(lab, code="c", ticket="t", keep=1)
    request = begin(browser, fate, "save")
    with pytest.raises(StoreUnavailable):
        request.session.take("code")
    request.session._blocking = Driver(wrap(lab.store, FATES[fate]("save")))
    with pytest.raises(StoreUnavailable):
        request.session.take("ticket")
    browser.visit(other=1)
    assert request.session.take("ticket") == "t"
    assert request.session.take("code") == "c"
    assert request.session.to_dict() == {"keep": 1, "other": 1}
    request.finish()

    assert browser.data() == {"keep": 1, "other": 1}


def test_a_commit_whose_answer_is_lost_repeats_nothing_in_the_next_request(lab: Lab) -> None:
    """The response says 503; what was stored counts once."""
    browser = signed_in(lab, n=0)
    whole = lab.driver
    lab.driver = Driver(wrap(lab.store, LostReplies("save")))
    request = browser.request()
    request.session.apply("n", lambda n: n + 1)
    fail(request.finish)
    lab.driver = whole
    browser.visit(a=1)

    assert browser.data() == {"n": 1, "a": 1}


@pytest.mark.parametrize("lost", [True, False])
def test_a_logout_everywhere_tried_again_leaves_the_winners_cookie(lab: Lab, lost: bool) -> None:
    """Another tab has signed in as somebody else, and the first attempt failed besides."""
    browser = signed_in(lab)
    lab.clock.advance(1)
    leaving = begin(browser, "lost" if lost else "refused", "end_user")
    leaving.session.logout_everywhere()
    browser.sign_in("bob")
    fail(leaving.session.save)
    leaving.finish()

    assert leaving.set_cookies == []
    assert browser.user() == "bob"


def test_a_logout_everywhere_of_somebody_never_signed_in_here_leaves_the_cookie(lab: Lab) -> None:
    """Signed in and out within one request, the first attempt failed: no session ended here."""
    request = begin(lab.browser(), "lost", "end_user")
    request.session.login("ada")
    request.session.logout_everywhere()
    fail(request.session.save)
    request.finish()

    assert request.browser.cookie is not None
    assert request.browser.user() is None


@fates
def test_a_sign_in_after_a_logout_everywhere_that_failed_keeps_its_cookie(
    lab: Lab, fate: str
) -> None:
    """The logout is tried again after the new session is stored."""
    browser = signed_in(lab)
    old = browser.twin()
    lab.clock.advance(1)
    request = begin(browser, fate, "end_user")
    request.session.logout_everywhere()
    fail(request.session.save)
    request.session.login("bob")
    request.finish()

    assert (old.user(), browser.user()) == (None, "bob")


@fates
def test_a_farewell_stored_before_a_logout_everywhere_that_failed_reaches_the_browser(
    lab: Lab, fate: str
) -> None:
    """The cookie was to be deleted while nobody knew; tried again, the new session counts."""
    browser = signed_in(lab)
    lab.clock.advance(1)
    request = begin(browser, fate, "end_user")
    request.session.logout_everywhere()
    request.session["note"] = "bye"
    fail(request.session.save)
    request.finish()

    assert (browser.user(), browser.data()) == (None, {"note": "bye"})


def test_a_refused_sign_in_is_told_though_a_logout_besides_it_failed_first(lab: Lab) -> None:
    """Saved again, the logout takes place, and the application hears of the sign-in."""
    lab = Lab(max_sessions_per_user=1, on_limit="reject")
    browser, other = lab.browser(), lab.browser()
    browser.sign_in("ada")
    other.sign_in("bob")
    request = begin(browser, "refused", "end_user")
    request.session.logout_everywhere()
    request.session.login("bob")
    fail(request.session.save)
    with pytest.raises(SessionLimitReached):
        request.session.save()

    assert request.session.user_id is None


class Fails(Fault):
    """Refuses each third save, and loses the answer to each fourth of those it performs."""

    def __init__(self) -> None:
        self.asked = self.done = 0

    def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
        if operation != "save":
            answer = yield call()
            return answer
        self.asked += 1
        if self.asked % 3 == 0:
            raise StoreUnavailable("out of reach", operation=operation)
        answer = yield call()
        self.done += 1
        if self.done % 4 == 0:
            raise StoreUnavailable("the answer was lost", operation=operation)
        return answer


@pytest.mark.parametrize("seed", range(12))
def test_requests_side_by_side_that_save_until_it_is_confirmed_count_once(seed: int) -> None:
    """A write that was merged, failed, was sent again and failed once more is still one write."""
    chance = random.Random(seed)
    lab, total = Lab(), 30
    browser = lab.browser()
    browser.sign_in("ada")
    browser.visit(n=0, log=[])
    lab.driver.store = wrap(lab.store, Fails())
    waiting = list(range(total))
    saving: list[Request] = []
    while waiting or saving:
        if waiting and (not saving or (len(saving) < 4 and chance.random() < 0.5)):
            request = browser.request()
            request.session.apply("n", lambda n: n + 1)
            request.session["log"].append(waiting.pop())
            saving.append(request)
        request = chance.choice(saving)
        lab.driver.breaker.reset()
        with suppress(StoreUnavailable):
            request.session.save()
            saving.remove(request)
    data = browser.data()
    assert data["n"] == total
    assert sorted(data["log"]) == list(range(total))
