"""Two requests on one session, in every order that hurts: P1, P2, P3, P6, P11."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openclaw_middleware import (
    EndReason,
    LoginSuperseded,
    Policy,
    SessionEnded,
    SessionLimitReached,
    SessionManager,
    SessionStateError,
)
from openclaw_middleware.core import events as ev
from openclaw_middleware.runtime import Runtime

from .lab import Browser, Lab


@pytest.fixture
def lab() -> Lab:
    return Lab()


def signed_in(lab: Lab, user: str = "ada", **data: Any) -> Browser:
    browser = lab.browser()
    browser.sign_in(user)
    if data:
        browser.visit(**data)
    return browser


# -- P1: logout is final


@pytest.mark.parametrize("change", ["write", "nested", "regenerate", "keep_alive", "policy"])
def test_a_slow_request_does_not_revive_a_session_after_logout(lab: Lab, change: str) -> None:
    """Whatever the slow request does, the session stays dead and its answer sets no cookie."""
    browser = signed_in(lab, cart=[1])
    slow = browser.request()
    assert slow.session.user_id == "ada"
    token = browser.twin()

    other = browser.request()
    other.session.logout()
    other.finish()
    if change == "write":
        slow.session["x"] = 1
    elif change == "nested":
        slow.session["cart"].append(2)
    elif change == "regenerate":
        slow.session.regenerate()
    elif change == "keep_alive":
        slow.session.keep_alive()
    else:
        slow.session.use_policy("remember")
    slow.finish()

    assert token.user() is None
    assert slow.set_cookies == []
    assert token.request().session.previous_end is EndReason.SIGNED_OUT


def test_changes_dropped_after_a_logout_are_told(lab: Lab) -> None:
    """The operator can see what was lost and why."""
    browser = signed_in(lab)
    slow = browser.request()
    slow.session["x"] = 1
    other = browser.request()
    other.session.logout()
    other.finish()

    slow.finish()

    assert [event.keys for event in lab.told(ev.ChangesDropped)] == [("x",)]


def test_on_ended_error_refuses_instead_of_dropping() -> None:
    """With the policy "error" the request whose changes are lost is told so."""
    lab = Lab(on_ended="error")
    browser = signed_in(lab)
    slow = browser.request()
    slow.session["x"] = 1
    other = browser.request()
    other.session.logout()
    other.finish()

    with pytest.raises(SessionEnded):
        slow.finish()


def test_a_logout_overtaken_by_a_new_id_ends_that_one_too(lab: Lab) -> None:
    """Logout follows the chain of the same user's successors."""
    browser = signed_in(lab)
    leaving = browser.request()
    leaving.session.logout()
    tab = browser.twin()
    for _ in range(3):
        step = tab.request()
        step.session.regenerate()
        step.finish()

    leaving.finish()

    assert tab.user() is None
    assert leaving.set_cookies


def test_a_logout_with_a_farewell_keeps_only_the_farewell(lab: Lab) -> None:
    """What is written after logout belongs to a new anonymous session."""
    browser = signed_in(lab, secret="s")
    old = browser.twin()
    request = browser.request()
    request.session.logout()
    request.session["flash"] = "bye"
    request.finish()

    assert browser.data() == {"flash": "bye"}
    assert browser.user() is None
    assert old.request().session.previous_end is EndReason.SIGNED_OUT


def test_a_request_overtaken_by_logout_and_farewell_gives_nothing_to_it(lab: Lab) -> None:
    """Changes of the user never reach the anonymous session that came after the logout."""
    browser = signed_in(lab)
    slow = browser.twin().request()
    slow.session["secret"] = 1
    request = browser.request()
    request.session.logout()
    request.session["flash"] = "bye"
    request.finish()

    slow.finish()

    assert browser.data() == {"flash": "bye"}


def test_a_loser_never_clears_the_winners_cookie(lab: Lab) -> None:
    """A request whose session was replaced answers without any cookie."""
    browser = lab.browser()
    browser.visit(cart=[1])
    slow = browser.twin().request()
    slow.session.pop("cart")
    browser.sign_in("ada")

    slow.finish()

    assert slow.set_cookies == []
    assert browser.data() == {"cart": [1]}


@pytest.mark.parametrize("change", ["regenerate", "login", "logout"])
def test_a_page_opened_with_a_dead_token_deletes_it_unless_it_was_replaced(
    lab: Lab, change: str
) -> None:
    """The successor of a replaced one may be on its way to this very browser."""
    browser = signed_in(lab)
    tab = browser.twin()
    request = browser.request()
    {
        "regenerate": request.session.regenerate,
        "login": lambda: request.session.login("ada"),
        "logout": request.session.logout,
    }[change]()
    request.finish()
    late = tab.request(navigation=True)
    assert late.session.user_id is None
    late.finish()

    assert bool(late.set_cookies) == (change == "logout")


def test_a_farewell_overtaken_by_another_sign_in_sets_no_cookie(lab: Lab) -> None:
    """Logout with a message, while the same browser signs in as somebody else."""
    browser = signed_in(lab)
    leaving = browser.twin().request()
    leaving.session.logout()
    leaving.session["flash"] = "bye"
    browser.sign_in("bob")

    leaving.finish()

    assert leaving.set_cookies == []
    assert browser.user() == "bob"


# -- P2: no lost update


def test_different_keys_both_survive(lab: Lab) -> None:
    """Two overlapping requests, each with its own key."""
    browser = signed_in(lab)
    one, two = browser.request(), browser.request()
    one.session["a"] = 1
    two.session["b"] = 2

    one.finish()
    two.finish()

    assert browser.data() == {"a": 1, "b": 2}


def test_nested_dicts_merge_and_appends_are_replayed(lab: Lab) -> None:
    """In-place changes of both requests are found and kept."""
    browser = signed_in(lab, prefs={"x": 1}, log=[0])
    one, two = browser.request(), browser.request()
    one.session["prefs"]["a"] = 1
    one.session["log"].append(1)
    two.session["prefs"]["b"] = 2
    two.session["log"].append(2)

    one.finish()
    two.finish()

    assert browser.data() == {"prefs": {"x": 1, "a": 1, "b": 2}, "log": [0, 1, 2]}


def test_two_flashes_from_nothing_both_show(lab: Lab) -> None:
    """Frameworks add messages by get, append, set; neither message is lost."""
    browser = signed_in(lab)
    requests = [browser.request(), browser.request()]
    for number, request in enumerate(requests):
        messages = request.session.get("_flashes", [])
        messages.append(("info", f"{number}"))
        request.session["_flashes"] = messages

    for request in requests:
        request.finish()

    assert browser.data()["_flashes"] == [("info", "0"), ("info", "1")]


def test_a_true_collision_is_won_by_the_last_commit_and_told(lab: Lab) -> None:
    """One value, two writers."""
    browser = signed_in(lab, k=0)
    one, two = browser.request(), browser.request()
    one.session["k"] = 1
    two.session["k"] = 2

    two.finish()
    one.finish()

    assert browser.data() == {"k": 1}
    assert [event.paths for event in lab.told(ev.Collided)] == [("k",)]


def test_an_in_place_change_under_a_deleted_key_is_dropped(lab: Lab) -> None:
    """The deletion stands."""
    browser = signed_in(lab, cart=[1])
    one, two = browser.request(), browser.request()
    one.session["cart"].append(2)
    del two.session["cart"]

    two.finish()
    one.finish()

    assert browser.data() == {}


def test_a_hundred_overlapping_increments_give_a_hundred(lab: Lab) -> None:
    """`apply` is repeated on what is stored by then."""
    browser = signed_in(lab, n=0)
    requests = [browser.request() for _ in range(100)]
    for request in requests:
        request.session.apply("n", lambda n: n + 1)

    for request in requests:
        request.finish()

    assert browser.data() == {"n": 100}


def test_a_one_time_value_goes_to_exactly_one_of_fifty(lab: Lab) -> None:
    """All fifty have loaded it; one takes it."""
    browser = signed_in(lab, code="c", keep=1)
    requests = [browser.request() for _ in range(50)]
    for request in requests:
        assert "code" in request.session

    taken = [request.session.take("code") for request in requests]
    for request in requests:
        request.session.apply("n", lambda n: n + 1, default=0)
        request.finish()

    assert sorted(taken, key=str) == [*([None] * 49), "c"]
    assert browser.data() == {"keep": 1, "n": 50}


def test_a_save_in_mid_request_and_more_changes_after_it(lab: Lab) -> None:
    """The application's own objects stay in use across `save()`, merges included."""
    browser = signed_in(lab, cart=[1])
    one, two = browser.request(), browser.request()
    cart = one.session["cart"]
    cart.append(2)
    two.session["cart"].append(3)
    two.finish()

    one.session.save()
    assert cart == [1, 3, 2]
    cart.append(4)
    one.finish()

    assert browser.data() == {"cart": [1, 3, 2, 4]}


def test_reload_brings_in_the_others_and_keeps_mine(lab: Lab) -> None:
    """Unsaved changes stay on top of what is loaded anew."""
    browser = signed_in(lab, a=1)
    one = browser.request()
    one.session["mine"] = 1
    browser.visit(theirs=2, a=5)

    one.session.reload()
    assert one.session.to_dict() == {"a": 5, "theirs": 2, "mine": 1}
    one.finish()

    assert browser.data() == {"a": 5, "theirs": 2, "mine": 1}


def test_a_change_is_found_however_often_the_value_is_reached(lab: Lab) -> None:
    """Reaching a list again after changing it does not hide the change."""
    browser = signed_in(lab, log=[1])
    request = browser.request()
    request.session["log"].append(2)
    assert request.session["log"] == [1, 2]
    request.finish()

    assert browser.data() == {"log": [1, 2]}


def test_what_others_wrote_before_a_new_id_comes_along(lab: Lab) -> None:
    """A regenerate or sign-in that was overtaken by a save carries that save on."""
    browser = lab.browser()
    browser.visit(a=1)
    login = browser.twin()
    request = login.request()
    request.session.login("ada")
    browser.visit(b=2)
    request.finish()
    assert login.data() == {"a": 1, "b": 2}

    renewing = login.twin()
    request = renewing.request()
    request.session.regenerate()
    request.session["mine"] = 1
    login.visit(c=3)
    request.finish()
    assert renewing.data() == {"a": 1, "b": 2, "c": 3, "mine": 1}


# -- P3: a reader never writes


def test_a_reader_writes_nothing(lab: Lab) -> None:
    """Reading nested values, sets and all keys leaves the store alone."""
    browser = signed_in(lab, prefs={"s": {3, 1, 2}}, log=[1])
    lab.trips.reset()
    request = browser.request()
    assert request.session["prefs"]["s"] == {1, 2, 3}
    assert dict(request.session.items())
    request.session["log"] = [1]

    request.finish()

    assert dict(lab.trips.trips) == {"load": 1}


# -- P6: a new identity at every change of privilege


def test_login_changes_the_id_and_the_old_token_is_dead(lab: Lab) -> None:
    """Fixation: whoever knew the token before the sign-in has nothing afterwards."""
    browser = lab.browser()
    browser.visit(cart=[1])
    attacker = browser.twin()
    before = browser.request().session.id

    after = browser.sign_in("ada")

    assert after != before
    assert browser.user() == "ada"
    assert browser.data() == {"cart": [1]}
    assert attacker.user() is None
    assert attacker.data() == {}


def test_changes_under_way_from_anonymous_do_not_reach_the_user(lab: Lab) -> None:
    """A request that began before the sign-in cannot plant anything in the user's session."""
    browser = lab.browser()
    browser.visit(cart=[1])
    slow = browser.twin().request()
    slow.session["planted"] = 1
    browser.sign_in("ada")

    slow.finish()

    assert browser.data() == {"cart": [1]}


def test_changes_under_way_follow_the_same_user(lab: Lab) -> None:
    """A mere new id loses nothing; keys the successor wrote are left to it."""
    browser = signed_in(lab, a=1, b=1)
    slow = browser.twin().request()
    slow.session["a"] = 2
    slow.session["b"] = 2
    step = browser.request()
    step.session.regenerate()
    step.session["b"] = 3
    step.finish()

    slow.finish()

    assert browser.data() == {"a": 2, "b": 3}
    assert slow.set_cookies == []


def test_another_users_data_are_not_handed_over(lab: Lab) -> None:
    """Signing in over another user starts empty."""
    browser = signed_in(lab, "ada", secret=1)

    browser.sign_in("bob")

    assert browser.user() == "bob"
    assert browser.data() == {}


def test_what_was_said_of_a_sign_in_goes_with_the_identity() -> None:
    """Removing the identity keeps the data for the visitor, not the claims, in a race, too."""
    lab = Lab(identity_key="_user_id")
    browser = lab.browser()
    browser.sign_in("ada", claims={"email": "ada@example.org"})
    request = browser.request()
    request.session["cart"] = 1
    del request.session["_user_id"]
    browser.twin().visit(seen=1)
    request.finish()

    session = browser.request().session
    assert session.user_id is None
    assert session.to_dict() == {"cart": 1, "seen": 1}
    assert session.info.claims == {}


def test_of_two_people_who_sign_in_at_once_neither_gets_the_others_data(lab: Lab) -> None:
    """Two tabs of one visitor: what the first writes with the sign-in is not the second's."""
    first = lab.browser()
    first.visit(cart=1)
    second = first.twin()
    late, early = second.request(), first.request()
    early.session.login("ada")
    early.session["secret"] = "ada's"
    early.finish()
    first.visit(more="ada's")
    late.session.login("bob")
    late.finish()

    assert first.data() == {"cart": 1, "secret": "ada's", "more": "ada's"}
    assert second.user() == "bob"
    assert "ada's" not in second.data().values()


def test_the_next_user_in_one_request_gets_nothing_of_the_one_before() -> None:
    """Removing the identity keeps the data for a visitor, but not for whoever signs in then."""
    lab = Lab(identity_key="_user_id")
    browser = lab.browser()
    browser.sign_in("ada")
    browser.visit(secret=1)
    request = browser.request()
    del request.session["_user_id"]
    assert request.session["secret"] == 1
    request.session["_user_id"] = "bob"
    request.finish()

    assert browser.request().session.to_dict() == {"_user_id": "bob"}


def test_a_second_sign_in_beside_the_first_succeeds(lab: Lab) -> None:
    """A double-submitted form: both answers carry a live session, with the visitor's cart."""
    browser = lab.browser()
    browser.visit(cart=[1])
    one, two = browser.twin(), browser.twin()
    first, second = one.request(), two.request()
    first.session.login("ada")
    second.session.login("ada")

    first.finish()
    second.finish()

    assert (one.user(), two.user()) == ("ada", "ada")
    assert two.data() == {"cart": [1]}


def test_signing_in_again_brings_nothing_back_after_a_logout(lab: Lab) -> None:
    """Step-up that was overtaken by a logout: a fresh session, none of the old data."""
    browser = signed_in(lab, secret=1)
    stepping = browser.twin()
    step = stepping.request()
    step.session.login("ada")
    step.session["new"] = 1
    leaving = browser.request()
    leaving.session.logout()
    leaving.finish()

    step.finish()

    assert stepping.user() == "ada"
    assert stepping.data() == {"new": 1}


# -- P11: log out everywhere, and limits


def test_logout_everywhere_ends_all_and_the_next_login_works(lab: Lab) -> None:
    """All devices are out; signing in afterwards is possible at once."""
    devices = [signed_in(lab) for _ in range(3)]
    stranger = signed_in(lab, "bob")
    lab.clock.advance(1)
    request = devices[0].request()
    request.session.logout_everywhere()
    request.finish()

    assert [device.user() for device in devices] == [None] * 3
    assert stranger.user() == "bob"
    lab.clock.advance(1)
    devices[0].sign_in("ada")
    assert devices[0].user() == "ada"


def test_a_login_verified_before_a_logout_everywhere_is_refused(lab: Lab) -> None:
    """The password was checked before: the attacker's login under way does not survive."""
    device = signed_in(lab)
    slow = lab.browser()
    login = slow.request()
    lab.clock.advance(5)
    request = device.request()
    request.session.logout_everywhere()
    request.finish()
    lab.clock.advance(5)
    login.session.login("ada")

    with pytest.raises(LoginSuperseded):
        login.finish()

    assert slow.user() is None


def test_logout_others_spares_this_one(lab: Lab) -> None:
    """Also when it has just signed in, in the same request."""
    here, there = signed_in(lab), signed_in(lab)
    lab.clock.advance(1)
    request = here.request()
    request.session.login("ada")
    request.session.logout_others()
    request.finish()

    assert (here.user(), there.user()) == ("ada", None)


@pytest.mark.parametrize("tab", ["another user", "farewell"])
def test_a_logout_everywhere_that_lost_leaves_the_winners_cookie(lab: Lab, tab: str) -> None:
    """Another tab of the same browser has replaced the session by one that is not the user's: its
    cookie stays, and the user is out everywhere all the same."""
    browser, elsewhere = signed_in(lab), signed_in(lab)
    lab.clock.advance(1)
    leaving = browser.request()
    leaving.session.logout_everywhere()
    winner = browser.request()
    if tab == "another user":
        winner.session.login("bob")
    else:
        winner.session.logout()
        winner.session["flash"] = "bye"
    winner.finish()
    lab.clock.advance(1)
    leaving.finish()

    assert leaving.set_cookies == []
    assert elsewhere.user() is None
    if tab == "another user":
        assert browser.user() == "bob"
    else:
        assert browser.data() == {"flash": "bye"}


def test_a_logout_everywhere_that_ended_the_session_deletes_the_cookie(lab: Lab) -> None:
    """Told as ended once; a second tab that came too late deletes nothing."""
    browser = signed_in(lab)
    lab.clock.advance(1)
    requests = [browser.twin().request(), browser.twin().request()]
    for request in requests:
        request.session.logout_everywhere()
        request.finish()

    assert ["Max-Age=0" in str(request.set_cookies) for request in requests] == [True, False]
    assert len(lab.told(ev.SessionFinished)) == 1
    assert browser.user() is None


@pytest.mark.parametrize("step", ["login", "regenerate"])
def test_a_logout_everywhere_ends_what_the_same_user_has_in_the_other_tab(
    lab: Lab, step: str
) -> None:
    """Signed in again there, or under a new id: that session is over, its cookie of no use."""
    browser = signed_in(lab)
    lab.clock.advance(1)
    leaving = browser.request()
    leaving.session.logout_everywhere()
    other = browser.request()
    if step == "login":
        other.session.login("ada")
    else:
        other.session.regenerate()
    other.finish()
    lab.clock.advance(1)
    leaving.finish()

    assert browser.user() is None


def test_a_password_change_ends_everything_but_the_new_session(lab: Lab) -> None:
    """logout_everywhere() and login() in one request: the sign-in stands."""
    here, there = signed_in(lab), signed_in(lab)
    lab.clock.advance(1)
    request = here.request()
    request.session.logout_everywhere()
    request.session.login("ada")
    request.finish()

    assert (here.user(), there.user()) == ("ada", None)


def test_ending_one_other_device_leaves_other_users_alone(lab: Lab) -> None:
    """A public id of somebody else's session opens nothing and ends nothing."""
    here, there, stranger = signed_in(lab), signed_in(lab), signed_in(lab, "bob")
    request = here.request()
    request.session.end_other(there.request().session.id)
    request.session.end_other(stranger.request().session.id)
    request.finish()

    assert (here.user(), there.user(), stranger.user()) == ("ada", None, "bob")
    assert there.request().session.previous_end is EndReason.REVOKED


def test_the_limit_ends_the_oldest_and_says_so() -> None:
    """The evicted device learns why."""
    lab = Lab(max_sessions_per_user=2)
    devices = []
    for _ in range(3):
        devices.append(signed_in(lab))
        lab.clock.advance(1)

    assert [device.user() for device in devices] == [None, "ada", "ada"]
    assert devices[0].request().session.previous_end is EndReason.LIMIT


def test_the_limit_can_refuse_and_then_nothing_changes() -> None:
    """The visitor keeps what they had before the refused sign-in."""
    lab = Lab(max_sessions_per_user=1, on_limit="reject")
    signed_in(lab)
    second = lab.browser()
    second.visit(cart=[1])
    request = second.request()
    request.session.login("ada")

    with pytest.raises(SessionLimitReached):
        request.finish()

    assert second.data() == {"cart": [1]}


def test_a_logout_before_a_refused_sign_in_still_holds() -> None:
    """logout() and login() in one request, the login refused: the old session is over."""
    lab = Lab(max_sessions_per_user=1, on_limit="reject")
    signed_in(lab, "bob")
    browser = signed_in(lab, "ada")
    request = browser.twin().request()
    request.session.logout()
    request.session.login("bob")

    with pytest.raises(SessionLimitReached):
        request.finish()

    assert browser.user() is None
    assert "Max-Age=0" in request.x.parting_cookies()[0]


@pytest.mark.parametrize("user_id", [None, "", "a\0b", "x" * 256, "\ud800"])
def test_a_user_id_no_store_could_keep_is_refused_at_once(lab: Lab, user_id: Any) -> None:
    """A developer's mistake is told where it is made, whatever the engine."""
    with pytest.raises(SessionStateError, match="user id"):
        lab.browser().request().session.login(user_id)


# -- a request that failed


def test_what_a_failed_request_loses_is_told_and_what_it_read_is_not(lab: Lab) -> None:
    """The operator sees the keys; no store call is made for it."""
    browser = signed_in(lab, log=[1], read=[1])
    request = browser.request()
    assert request.session["read"] == [1]
    lab.trips.reset()
    request.finish(failed=True)
    assert lab.told(ev.ChangesDropped) == []

    request = browser.request()
    assert request.session["read"] == [1]
    request.session["log"].append(2)
    lab.trips.reset()
    request.finish(failed=True)

    assert [event.keys for event in lab.told(ev.ChangesDropped)] == [("log",)]
    assert lab.trips.total == 0
    assert browser.data() == {"log": [1], "read": [1]}


def test_a_failed_request_keeps_neither_data_nor_login_but_its_logout(lab: Lab) -> None:
    """Status >= 500: widening and data are dropped, narrowing runs."""
    browser = signed_in(lab, a=1)
    request = browser.request()
    request.session["a"] = 2
    request.session.use_policy("remember")
    request.finish(failed=True)
    assert browser.data() == {"a": 1}
    assert browser.request().session.info.policy == "default"

    visitor = lab.browser()
    login = visitor.request()
    login.session.login("ada")
    login.finish(failed=True)
    assert visitor.user() is None

    leaving = browser.request()
    leaving.session.logout()
    leaving.session["flash"] = "bye"
    leaving.finish(failed=True)
    assert browser.user() is None
    assert browser.data() == {}


# -- time


def test_both_clocks_end_a_session_and_say_which() -> None:
    """Idle after 30 minutes of silence, absolute after 8 hours of use."""
    lab = Lab()
    idle = signed_in(lab)
    lab.clock.advance(1800)
    assert idle.request().session.previous_end is EndReason.IDLE

    busy = signed_in(lab)
    for _ in range(8 * 4 - 1):
        lab.clock.advance(900)
        request = busy.request()
        assert request.session.user_id == "ada"
        request.finish()
    lab.clock.advance(900)
    assert busy.request().session.previous_end is EndReason.ABSOLUTE


def test_limits_that_were_shortened_name_the_clock_that_ran_out() -> None:
    """Stored under longer ones: the deployment's shorter ones count, and say which of the two."""
    long = Lab()
    for shorter, reason in (
        ({"idle_timeout": 60.0}, EndReason.IDLE),
        ({"idle_timeout": 60.0, "absolute_timeout": 60.0}, EndReason.ABSOLUTE),
        ({"idle_timeout": None, "absolute_timeout": 60.0}, EndReason.ABSOLUTE),
    ):
        browser = signed_in(long)
        session_id = browser.request().session.id
        short = Lab(long.store, **shorter)
        short.desk = replace(long.desk, rules=short.desk.rules)
        manager = SessionManager(Runtime(short.settings, desk=short.desk))
        manager.runtime._blocking = short.driver
        assert manager.end_of(session_id) is None
        long.clock.advance(60)
        assert Browser(short, browser.cookie).request().session.previous_end is reason
        assert manager.end_of(session_id) is reason
        assert manager.get(session_id) is None


def test_a_touch_goes_out_once_per_interval() -> None:
    """A tenth of the idle limit, however many requests there are."""
    lab = Lab()
    browser = signed_in(lab)
    lab.trips.reset()
    for _ in range(20):
        lab.clock.advance(60)
        request = browser.request()
        assert request.session.user_id
        request.finish()

    assert lab.trips.trips["touch"] == 6


def test_lowering_the_configured_limit_holds_for_living_sessions() -> None:
    """The smaller of stored and configured limit counts."""
    lab = Lab(policies={"desk": Policy(600, 3600)})
    browser = lab.browser()
    browser.sign_in("ada", policy="desk")
    stricter = Lab(
        store=lab.store,
        secret_key=lab.settings.secret_key.get_secret_value(),
        policies={"desk": Policy(60, 120)},
    )
    stricter.clock = lab.clock
    visitor = Browser(stricter, browser.cookie)

    lab.clock.advance(59)
    assert visitor.user() == "ada"
    lab.clock.advance(1)
    assert visitor.request().session.previous_end is EndReason.IDLE
    assert browser.user() == "ada"


def test_lowering_the_configured_absolute_limit_holds_too(lab: Lab) -> None:
    """The absolute clock counts from the sign-in, under the smaller limit."""
    browser = signed_in(lab)
    stricter = Lab(
        store=lab.store,
        secret_key=lab.settings.secret_key.get_secret_value(),
        absolute_timeout=1800,
        idle_timeout=1800,
    )
    stricter.clock = lab.clock
    visitor = Browser(stricter, browser.cookie)
    for _ in range(2):
        lab.clock.advance(899)
        request = browser.request()
        assert request.session.user_id == "ada"
        request.finish()
    assert visitor.user() == "ada"
    lab.clock.advance(2)

    assert visitor.request().session.previous_end is EndReason.ABSOLUTE


def test_a_new_id_is_to_be_had_while_the_clock_is_put_back(lab: Lab) -> None:
    """The end of the others lies ahead of the clock then; whom it spared is not shut out by it."""
    browser = lab.browser()
    browser.sign_in("ada")
    lab.clock.advance(-60)
    request = browser.request()
    request.session.logout_others()
    request.finish()
    request = browser.request()
    request.session.regenerate()
    request.finish()

    assert browser.user() == "ada"


def test_a_new_id_under_way_while_the_other_sessions_are_ended(lab: Lab) -> None:
    """Another tab logs out all other devices and spares this session: so it does its new id."""
    browser = lab.browser()
    browser.sign_in("ada")
    request, tab = browser.request(), browser.twin().request()
    request.session.regenerate()
    tab.session.logout_others()
    tab.finish()
    request.finish()

    assert browser.user() == "ada"
    assert browser.twin().cookie == browser.cookie != tab.browser.cookie


@pytest.mark.parametrize("action", ["end_oldest", "reject"])
def test_a_new_id_is_no_further_session(action: str) -> None:
    """Under a limit lowered meanwhile it is neither refused, nor does it end other sessions."""
    lab = Lab()
    browsers = [lab.browser() for _ in range(3)]
    for browser in browsers:
        browser.sign_in("ada")
    key = lab.settings.secret_key
    later = Lab(lab.store, lab.clock, secret_key=key, max_sessions_per_user=1, on_limit=action)
    request = Browser(later, browsers[0].cookie).request()
    request.session.regenerate()
    request.finish()

    users = [request.browser.user(), *(each.user() for each in browsers[1:])]
    assert users == ["ada"] * 3


def test_a_new_id_does_not_start_the_absolute_clock_anew(lab: Lab) -> None:
    """Neither for a user nor for an anonymous visitor; clearing everything does."""
    visitor, user = lab.browser(), signed_in(lab)
    visitor.visit(cart=[1])
    began = {
        name: who.request().session.info.absolute_deadline
        for name, who in (("visitor", visitor), ("user", user))
    }
    lab.clock.advance(600)
    for who in (visitor, user):
        request = who.request()
        request.session.regenerate()
        request.finish()
    assert visitor.request().session.info.absolute_deadline == began["visitor"]
    assert user.request().session.info.absolute_deadline == began["user"]

    request = visitor.request()
    request.session.clear()
    request.session["cart"] = [2]
    request.finish()
    assert visitor.request().session.info.absolute_deadline == (began["visitor"] or 0) + 600


def test_remember_me_gives_a_cookie_that_outlives_the_browser(lab: Lab) -> None:
    """90 days absolute, 14 days idle; the default is a browser-session cookie."""
    browser = lab.browser()
    request = browser.request()
    request.session.login("ada", remember=True)
    request.finish()
    assert "Max-Age=7776000" in request.set_cookies[0]

    plain = lab.browser().request()
    plain.session.login("ada")
    plain.finish()
    assert "Max-Age" not in plain.set_cookies[0]


def test_a_stricter_clock_of_this_process_changes_nothing(lab: Lab) -> None:
    """Deadlines are the store's: a skewed wall clock of the application is not consulted."""
    browser = signed_in(lab)
    object.__setattr__(lab.desk, "wall", lambda: 0.0)

    assert browser.user() == "ada"
