"""What the machine found: the fewest steps to each defect, one fact per test."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw_middleware import StoreUnavailable
from openclaw_middleware.core import events as ev
from openclaw_middleware.testing import wrap
from tests.core.lab import Browser, Lab
from tests.core.test_outage import Outage


@pytest.fixture
def lab() -> Lab:
    return Lab()


def signed_in(lab: Lab, **data: Any) -> Browser:
    browser = lab.browser()
    browser.sign_in("ada")
    browser.visit(**data)
    return browser


@pytest.mark.parametrize("look", ["take", "reload"])
def test_a_change_in_place_survives_a_fresh_look(lab: Lab, look: str) -> None:
    """`take` and `reload` in mid-request lose no nested change made before them."""
    browser = signed_in(lab, prefs={"x": 1}, log=[1], tags={1}, code="c")
    request = browser.request()
    request.session["prefs"]["a"] = 1
    request.session["log"].append(2)
    request.session["tags"].add(2)
    if look == "take":
        assert request.session.take("code") == "c"
    else:
        request.session.reload()
    request.finish()

    data = browser.data()
    data.pop("code", None)
    assert data == {"prefs": {"x": 1, "a": 1}, "log": [1, 2], "tags": {1, 2}}


@pytest.mark.parametrize("look", ["take", "reload"])
def test_an_increment_stays_one_after_a_fresh_look(lab: Lab, look: str) -> None:
    """`apply` before a `take` or `reload` is still repeated on what is stored by commit."""
    browser = signed_in(lab, n=0)
    one, two = browser.request(), browser.request()
    one.session.apply("n", lambda n: n + 1)
    browser.visit(other=1)
    if look == "take":
        one.session.take("nothing")
    else:
        one.session.reload()
    two.session.apply("n", lambda n: n + 1)
    two.finish()
    one.finish()

    assert browser.data()["n"] == 2


def test_an_increment_after_a_fresh_look_is_counted_once_per_call(lab: Lab) -> None:
    """Further calls of `apply` add to those made before the look."""
    browser = signed_in(lab, n=0)
    one = browser.request()
    one.session.apply("n", lambda n: n + 1)
    browser.visit(n=10)
    one.session.reload()
    one.session.apply("n", lambda n: n + 1)
    browser.visit(n=20)
    one.finish()

    assert browser.data()["n"] == 22


def test_a_list_changed_in_place_follows_its_key_after_a_fresh_look(lab: Lab) -> None:
    """A deletion by another request stands, though this one has looked afresh in between."""
    browser = signed_in(lab, log=[1])
    one = browser.request()
    one.session["log"].append(2)
    one.session.reload()
    other = browser.request()
    del other.session["log"]
    other.finish()
    one.finish()

    assert browser.data() == {}


def test_a_collision_hidden_by_a_fresh_look_is_told(lab: Lab) -> None:
    """Ours wins over a value stored after we read it, and an event says so."""
    browser = signed_in(lab, k=0)
    one = browser.request()
    one.session["k"] = 1
    browser.visit(k=2)
    one.session.reload()
    one.finish()

    assert browser.data() == {"k": 1}
    assert [event.paths for event in lab.told(ev.Collided)] == [("k",)]


def test_a_value_set_over_a_deletion_is_told(lab: Lab) -> None:
    """One request deletes the key, the other assigns it: the later wins, with an event."""
    browser = signed_in(lab, k=0)
    one, two = browser.request(), browser.request()
    one.session["k"] = 1
    del two.session["k"]
    two.finish()
    one.finish()

    assert browser.data() == {"k": 1}
    assert [event.paths for event in lab.told(ev.Collided)] == [("k",)]


def test_two_sets_from_nothing_are_united(lab: Lab) -> None:
    """As two lists are: neither request's members are lost."""
    browser = signed_in(lab)
    requests = [browser.request(), browser.request()]
    for number, request in enumerate(requests):
        request.session["tags"] = {number}
    for request in requests:
        request.finish()

    assert browser.data() == {"tags": {0, 1}}


def test_a_set_stays_whole_in_the_hands_of_the_application(lab: Lab) -> None:
    """After a save that was merged with another request's, the set is not emptied."""
    browser = signed_in(lab, tags={1})
    request = browser.request()
    tags = request.session["tags"]
    tags.add(2)
    browser.visit(other=1)
    request.session.save()

    assert tags == {1, 2}
    tags.add(3)
    request.finish()
    assert browser.data()["tags"] == {1, 2, 3}


@pytest.mark.parametrize("change", ["write", "keep_alive"])
def test_a_loser_within_the_grace_sends_no_token(change: str) -> None:
    """It was to hand out the current token again, and learned that the session is replaced."""
    lab = Lab(rotation_interval=300)
    browser = signed_in(lab)
    old = browser.twin()
    lab.clock.advance(300)
    browser.visit(a=1)
    browser.visit(a=2)
    slow = old.request()
    assert slow.session.user_id == "ada"
    if change == "write":
        slow.session["x"] = 1
    else:
        slow.session.keep_alive()
    browser.sign_in("bob")
    slow.finish()

    assert slow.set_cookies == []


def test_a_session_that_ended_before_its_first_response_sends_no_token(lab: Lab) -> None:
    """Made by `save()`, expired before the response: the token would only name the dead."""
    request = lab.browser().request()
    request.session["a"] = 1
    request.session.save()
    lab.clock.advance(28800)
    request.session["b"] = 1
    request.finish()

    assert request.set_cookies == []


def test_a_new_id_beside_a_logout_of_the_others_succeeds(lab: Lab) -> None:
    """The session that `logout_others` spared is spared under its new id, too."""
    browser = signed_in(lab, a=1)
    renewing = browser.request()
    renewing.session.regenerate()
    lab.clock.advance(1)
    others = browser.twin().request()
    others.session.logout_others()
    others.finish()
    renewing.finish()

    assert browser.user() == "ada"
    assert browser.data() == {"a": 1}


def test_a_farewell_that_came_too_late_is_told(lab: Lab) -> None:
    """Written after a logout, while somebody else signed in: dropped, with an event."""
    browser = signed_in(lab)
    leaving = browser.twin().request()
    leaving.session.logout()
    leaving.session["flash"] = "bye"
    browser.sign_in("bob")
    leaving.finish()

    assert [event.keys for event in lab.told(ev.ChangesDropped)] == [("flash",)]


def test_a_second_sign_in_does_not_bring_back_a_value_that_was_taken(lab: Lab) -> None:
    """Its data are the visitor's as they are by then, not as they were when it began."""
    browser = lab.browser()
    browser.visit(code="c", cart=[1])
    late = browser.twin()
    slow = late.request()
    slow.session.login("ada")
    taking = browser.request()
    assert taking.session.take("code") == "c"
    taking.session.login("ada")
    taking.finish()
    slow.finish()

    assert late.user() == "ada"
    assert late.data() == {"cart": [1]}


def test_a_second_sign_in_as_somebody_else_gets_nothing_of_the_first(lab: Lab) -> None:
    """The visitor's data went to one user; they are not handed to another as well."""
    browser = lab.browser()
    browser.visit(cart=[1])
    late = browser.twin()
    slow = late.request()
    slow.session.login("bob")
    browser.sign_in("ada")
    slow.finish()

    assert late.user() == "bob"
    assert late.data() == {}


def test_a_step_up_after_a_logout_keeps_no_old_value_by_a_change_inside_it(lab: Lab) -> None:
    """A nested change of a session that was signed out does not carry its surroundings along."""
    browser = signed_in(lab, prefs={"secret": 1})
    stepping = browser.twin()
    step = stepping.request()
    step.session.login("ada")
    step.session["prefs"]["new"] = 1
    leaving = browser.request()
    leaving.session.logout()
    leaving.finish()
    step.finish()

    assert stepping.data() == {}
    assert [event.keys for event in lab.told(ev.ChangesDropped)] == [("prefs",)]


def test_changes_after_some_that_followed_to_a_successor_are_changes_to_it(lab: Lab) -> None:
    """Set, saved onto the successor, then deleted again: it is gone there, and nothing is told."""
    browser = signed_in(lab, n=0)
    slow = browser.twin().request()
    slow.session["a"] = 1
    slow.session.apply("n", lambda n: n + 1)
    step = browser.request()
    step.session.regenerate()
    step.finish()
    slow.session.save()
    assert browser.data() == {"n": 1, "a": 1}
    del slow.session["a"]
    slow.session.apply("n", lambda n: n + 1)
    slow.finish()

    assert browser.data() == {"n": 2}
    assert not lab.told(ev.ChangesDropped)


def test_a_logout_with_a_new_sign_in_ends_what_overtook_it(lab: Lab) -> None:
    """`logout()` and `login()` in one request, while another tab stepped up: that one is out."""
    browser = signed_in(lab, secret=1)
    leaving = browser.twin()
    request = leaving.request()
    request.session.logout()
    request.session.login("ada")
    browser.sign_in("ada")
    request.finish()

    assert browser.user() is None
    assert (leaving.user(), leaving.data()) == ("ada", {})


@pytest.mark.parametrize("write", ["save", "take"])
def test_a_long_request_saves_into_a_session_that_others_kept_alive(lab: Lab, write: str) -> None:
    """A socket outlasts the idle limit as it was at its start; the session was used meanwhile."""
    browser = signed_in(lab, code="c")
    long = browser.request()
    assert long.session["code"] == "c"
    for _ in range(4):
        lab.clock.advance(900)
        browser.visit(a=lab.clock())
    if write == "take":
        assert long.session.take("code") == "c"
    else:
        long.session["b"] = 1
    long.finish()

    assert browser.data().get("b") == (1 if write == "save" else None)
    assert not lab.told(ev.ChangesDropped)


def test_removing_the_last_key_leaves_what_others_wrote(lab: Lab) -> None:
    """An anonymous visitor's flash is shown while another tab fills the cart."""
    browser = lab.browser()
    browser.visit(flash="hello")
    tab = browser.request()
    del tab.session["flash"]
    browser.visit(cart=[1])
    tab.finish()

    assert browser.data() == {"cart": [1]}


def test_a_write_after_the_last_key_was_removed_is_not_lost(lab: Lab) -> None:
    """An emptied visitor's session lives on: another tab's request may be about to fill it."""
    browser = lab.browser()
    browser.visit(flash="hello")
    tab = browser.request()
    filling = browser.request()
    filling.session["cart"] = [1]
    del tab.session["flash"]
    tab.finish()
    assert tab.set_cookies == []
    filling.finish()

    assert browser.data() == {"cart": [1]}
    assert not lab.told(ev.ChangesDropped)


def test_only_a_clear_or_a_logout_ends_a_visitors_session(lab: Lab) -> None:
    """They say that it is over; an empty mapping does not."""
    browser = lab.browser()
    browser.visit(flash="hello")
    last = browser.request()
    del last.session["flash"]
    last.finish()
    assert browser.request().session.is_new is False
    clearing = browser.request()
    clearing.session.clear()
    clearing.finish()

    assert browser.cookie is None
    assert clearing.set_cookies


def test_a_logout_tried_again_deletes_no_cookie_of_another_tab(lab: Lab) -> None:
    """A visitor without a session signs in, thinks better of it, and saves while the store is away;
    then the request fails, the store is there again, and nothing of this request's was to end."""
    request = lab.browser().request()
    request.session.login("ada")
    request.session.logout_everywhere()
    away = Outage("now")
    away.on = True
    steady, lab.driver.store = lab.driver.store, wrap(lab.driver.store, away)
    with pytest.raises(StoreUnavailable):
        request.session.save()
    lab.driver.store = steady
    request.finish(failed=True)

    assert request.set_cookies == []


@pytest.mark.parametrize("verb", ["end", "end_user"])
def test_a_logout_tried_again_deletes_its_own_cookie(lab: Lab, verb: str) -> None:
    """Whether its first part had been done or nothing had."""
    browser = signed_in(lab)
    request = browser.request()
    if verb == "end":
        request.session.logout()
    else:
        request.session.logout_everywhere()
    away = Outage(verb)
    away.on = True
    steady, lab.driver.store = lab.driver.store, wrap(lab.driver.store, away)
    with pytest.raises(StoreUnavailable):
        request.session.save()
    lab.driver.store = steady
    request.finish()

    assert len(request.set_cookies) == 1
    assert "Max-Age=0" in request.set_cookies[0]
    assert browser.cookie is None
