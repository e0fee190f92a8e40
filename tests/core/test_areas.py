"""Areas: what is asked below a path, judged from the record as it was loaded."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw_middleware import ConfigurationError, Policy, Session, SessionSettings
from openclaw_middleware.core.areas import AreaLimits, Areas, area_limits
from openclaw_middleware.core.record import EndReason
from openclaw_middleware.errors import ReauthenticationRequired

from .lab import Browser, Lab, Request

STRICT = {"strict": Policy(300, 3600), "sudo": Policy(None, 120)}
PATHS = {"/admin": "strict", "/admin/login": "default", "/admin/keys": "sudo"}


@pytest.fixture
def lab() -> Lab:
    return Lab(policies=STRICT, policy_paths=PATHS)


def visit(browser: Browser, path: str, **info: Any) -> Request:
    return browser.request(area=browser.lab.desk.rules.areas.of(path), **info)


def asks(browser: Browser, path: str) -> bool:
    """Whether a request there is asked for a fresh sign-in; it is finished either way."""
    request = visit(browser, path)
    try:
        request.session.get("a")
    except ReauthenticationRequired:
        return True
    finally:
        request.finish()
    return False


def signed_in(lab: Lab, **data: Any) -> Browser:
    browser = lab.browser()
    browser.sign_in("u1")
    if data:
        browser.visit(**data)
    return browser


# -- which area a path lies in


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", None),
        ("", None),
        ("/admin", "strict"),
        ("/admin/", "strict"),
        ("/admin/users/1", "strict"),
        ("/administrator", None),
        ("/Admin", None),
        ("/admin/login", None),
        ("/admin/login/", None),
        ("/admin/login/step2", None),
        ("/admin/logins", "strict"),
        ("/admin/keys", "sudo"),
        ("/admin/keys/1", "sudo"),
        ("//admin", "strict"),
        ("/admin//keys", "sudo"),
        ("/admin//login", None),
        ("/x/admin", None),
    ],
)
def test_the_longest_prefix_wins(path: str, name: str | None) -> None:
    areas = Lab(policies=STRICT, policy_paths=PATHS).desk.rules.areas
    assert areas.of(path) == (None if name is None else STRICT[name])


@pytest.mark.parametrize("path", ["//admin/x", "//admin", "/admin//x", "///admin///x", "/admin/x"])
def test_a_prefix_for_everything_hides_no_longer_one_from_more_slashes(path: str) -> None:
    day, strict = Policy(3600, 86400), Policy(300, 3600)
    areas = Areas({"/": day, "/admin": strict})
    assert areas.of(path) is strict
    assert areas.of("//x//admin") is day


def test_a_slash_at_the_end_of_a_prefix_changes_nothing() -> None:
    policy = Policy(60, 60)
    for prefix in ("/a", "/a/"):
        areas = Areas({prefix: policy})
        assert [areas.of(each) for each in ("/a", "/a/", "/a/b", "/ab")] == [policy] * 3 + [None]
    assert Areas({"/": policy}).of("/anything") is policy
    assert Areas({"/": policy}).of("") is policy


def test_a_prefix_is_written_as_people_read_it() -> None:
    settings = SessionSettings.for_tests(policy_paths={"/vérif x": "nist_aal3"})
    assert settings.rules().areas.of("/vérif x/1") == settings.all_policies()["nist_aal3"]


def test_settings_that_contradict_themselves_are_refused() -> None:
    for wrong, message in (
        ({"policy_paths": {"/a": "x"}}, "does not exist"),
        ({"policy_paths": {"/a": "nist_aal2", "/a/": "nist_aal3"}}, "the same prefix"),
        (
            {"policy_paths": {"/a": "s"}, "policies": {"s": Policy(100, 100)}}
            | {"touch_interval": 60},
            "touch_interval",
        ),
        ({"policy_paths": {"/a": "nist_aal3"}, "touch_interval": 600}, "'nist_aal3'"),
        ({"login_url": "https://evil.example/"}, "login_url"),
        ({"login_url": "//evil.example/"}, "login_url"),
        ({"login_url": "/\\evil.example/"}, "login_url"),
        ({"login_url": "login"}, "login_url"),
        ({"login_url": "/login#top"}, "login_url"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            SessionSettings.for_tests(**wrong)


# -- when it asks


def test_an_area_asks_when_its_idle_limit_has_passed_and_nobody_else_does(lab: Lab) -> None:
    browser = signed_in(lab, a=1)
    lab.clock.advance(299.9)
    assert not asks(browser.twin(), "/admin")
    lab.clock.advance(300)
    assert asks(browser, "/admin")
    assert not asks(browser, "/")
    assert browser.user() == "u1"


def test_an_area_asks_when_the_sign_in_is_too_old_however_active_its_person_is(lab: Lab) -> None:
    browser = signed_in(lab)
    for _ in range(35):
        lab.clock.advance(100)
        assert not asks(browser, "/admin")
    lab.clock.advance(100)
    assert asks(browser, "/admin")
    assert asks(browser, "/admin")
    assert not asks(browser, "/admin/login")
    assert browser.data() == {}


def test_a_refused_request_is_no_activity(lab: Lab) -> None:
    browser = signed_in(lab)
    lab.clock.advance(400)
    for _ in range(3):
        assert asks(browser, "/admin")
        lab.clock.advance(1)
    assert lab.trips.trips["touch"] == 0
    assert browser.request().x.state.record.last_active_at < lab.clock() - 400  # type: ignore[union-attr]


def test_activity_elsewhere_counts_and_is_written_down_often_enough(lab: Lab) -> None:
    browser = signed_in(lab)
    for _ in range(14):
        lab.clock.advance(60)
        assert not asks(browser, "/")  # the session's own touch interval is 180 s
        lab.clock.advance(230)
        glance = visit(browser.twin(), "/admin")
        assert glance.session.get("a") is None
        lab.clock.advance(-230)


def test_the_touch_interval_is_the_shortest_areas_for_people_signed_in(lab: Lab) -> None:
    rules = lab.desk.rules
    person = signed_in(lab).request().x.state.record
    visitor = lab.browser()
    visitor.visit(a=1)
    anonymous = visitor.request().x.state.record
    assert person is not None
    assert anonymous is not None
    assert rules.touch_every(person) == 12
    assert rules.touch_every(anonymous) == 180


def test_anonymous_visitors_are_not_concerned(lab: Lab) -> None:
    browser = lab.browser()
    assert not asks(browser, "/admin")
    browser.visit(a=1)
    lab.clock.advance(1000)
    assert not asks(browser, "/admin")


def test_it_costs_no_further_trip(lab: Lab) -> None:
    browser = signed_in(lab)
    lab.clock.advance(400)
    lab.trips.reset()
    assert asks(browser, "/admin")
    assert lab.trips.total == 1


# -- what is possible all the same


def lapsed(lab: Lab, path: str = "/admin", **info: Any) -> Request:
    browser = signed_in(lab, a=1)
    lab.clock.advance(400)
    return visit(browser, path, **info)


READS = {
    "get": lambda s: s.get("a"),
    "item": lambda s: s["a"],
    "in": lambda s: "a" in s,
    "iter": lambda s: list(s),
    "len": lambda s: len(s),
    "user_id": lambda s: s.user_id,
    "id": lambda s: s.id,
    "info": lambda s: s.info,
    "set": lambda s: s.update(a=2),
    "del": lambda s: s.pop("a"),
    "apply": lambda s: s.apply("a", lambda v: v + 1),
    "take": lambda s: s.take("a"),
    "save": lambda s: s.save(),
    "reload": lambda s: s.reload(),
    "keep_alive": lambda s: s.keep_alive(),
    "use_policy": lambda s: s.use_policy("remember"),
    "regenerate": lambda s: s.regenerate(),
    "logout_others": lambda s: s.logout_others(),
    "end_other": lambda s: s.end_other("x"),
    "require_recent": lambda s: s.require_recent(10_000),
}


@pytest.mark.parametrize("use", READS.values(), ids=READS)
def test_every_use_of_the_session_asks(lab: Lab, use: Any) -> None:
    request = lapsed(lab)
    request.session.load()
    with pytest.raises(ReauthenticationRequired) as caught:
        use(request.session)
    assert (caught.value.max_age, caught.value.idle) == (300, True)
    request.finish()
    assert request.browser.data() == {"a": 1}


def test_the_demand_says_what_it_is_about(lab: Lab) -> None:
    request = lapsed(lab, "/admin/keys")
    with pytest.raises(ReauthenticationRequired, match="within the last 120 seconds") as caught:
        request.session.get("a")
    assert (caught.value.max_age, caught.value.idle) == (120, False)


def test_signing_in_meets_the_demand_and_keeps_the_data(lab: Lab) -> None:
    request = lapsed(lab)
    request.session.login("u1")
    assert request.session.to_dict() == {"a": 1}
    request.session["b"] = 2
    request.finish()
    assert not asks(request.browser, "/admin")
    assert request.browser.data() == {"a": 1, "b": 2}


def test_somebody_else_who_signs_in_gets_nothing_of_it(lab: Lab) -> None:
    request = lapsed(lab)
    request.session.login("u2")
    assert request.session.to_dict() == {}


def test_the_same_user_under_the_identity_key_signs_in_anew() -> None:
    lab = Lab(policies=STRICT, policy_paths=PATHS, identity_key="_user_id")
    request = lapsed(lab)
    request.session["_user_id"] = "u1"
    request.session["b"] = 2
    request.finish()
    assert not asks(request.browser, "/admin")


def test_a_refused_sign_in_meets_no_demand(lab: Lab) -> None:
    request = lapsed(lab)
    request.session.login("u1")
    request.finish(failed=True)
    with pytest.raises(ReauthenticationRequired):
        request.session.get("a")


@pytest.mark.parametrize("way", ["logout", "clear", "logout_everywhere"])
def test_signing_out_works(lab: Lab, way: str) -> None:
    request = lapsed(lab)
    other = signed_in(lab)
    getattr(request.session, way)()
    request.session["farewell"] = 1
    request.finish()
    assert request.browser.data() == {"farewell": 1}
    assert request.session.user_id is None
    assert other.user() == (None if way == "logout_everywhere" else "u1")


def test_a_veiled_session_looks_signed_out_and_is_not_used(lab: Lab) -> None:
    request = lapsed(lab, veiled=True)
    session: Session = request.session
    assert session.user_id is None
    assert session.info.id is None
    assert session["a"] == 1
    session["csrf"] = "x"
    with pytest.raises(ReauthenticationRequired):
        session.require_recent(10_000)
    request.finish()
    assert asks(request.browser, "/admin"), "the note was written, which is no activity"
    assert request.browser.data() == {"a": 1, "csrf": "x"}


def test_a_sign_in_lifts_the_veil(lab: Lab) -> None:
    request = lapsed(lab, veiled=True)
    request.session.login("u1")
    assert request.session.user_id == "u1"
    request.session.save()
    assert request.session.user_id == "u1"
    assert request.session.info.user_id == "u1"
    request.finish()
    assert not asks(request.browser, "/admin")


# -- for the page that asks how long it has


def limits(browser: Browser, path: str | None) -> AreaLimits:
    x = browser.request().x
    assert x.state.record is not None
    return area_limits(x.rules, path, x.state.record, browser.lab.clock())


def test_limits_as_a_page_sees_them(lab: Lab) -> None:
    browser = signed_in(lab)
    start = lab.clock()
    for path, idle, absolute in (
        ("/", 1800, 28800),
        (None, 1800, 28800),
        ("/admin/x", 300, 3600),
        ("/admin/keys", 120, 120),
    ):
        expected = (idle, absolute, start + idle, start + absolute, None)
        assert limits(browser, path) == expected
    lab.clock.advance(300)
    own = (1800, 28800, start + 1800, start + 28800)
    assert limits(browser, "/admin/x") == (*own, EndReason.IDLE)
    assert limits(browser, "/admin/keys") == (*own, EndReason.ABSOLUTE)
    assert limits(browser, "/") == (*own, None)


def test_an_area_never_lengthens_a_session() -> None:
    lab = Lab(policy_paths={"/": "remember"})
    browser = signed_in(lab)
    start = lab.clock()
    assert limits(browser, "/x") == (1800, 28800, start + 1800, start + 28800, None)
    lab.clock.advance(1800)
    assert browser.user() is None


def test_a_visitors_limits_are_their_own(lab: Lab) -> None:
    browser = lab.browser()
    browser.visit(a=1)
    lab.clock.advance(1000)
    assert limits(browser, "/admin")[2:] == (lab.clock() + 800, lab.clock() + 27800, None)
