"""The endpoints in every driver and adapter: what they tell, extend and end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from openclaw_middleware import Policy, Session
from openclaw_middleware.core import events as ev
from tests.drivers.runners import RUNNERS, Asgi, Wsgi, asgi_request, wsgi_request
from tests.drivers.world import COOKIE, Call, Response, World

from .pages import PREFIX, Page, told

IDLE, ABSOLUTE = 1800.0, 28800.0


@pytest.fixture(params=RUNNERS, ids=lambda each: each.name)
def runner(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def page(runner: Any) -> Iterator[Page]:
    page = Page(runner)
    yield page
    page.runner.close()


def sign_in(session: Session) -> str:
    session.login("ada")
    return "in"


def test_status_tells_both_clocks_and_moves_neither(page: Page) -> None:
    page.visit(sign_in)
    page.world.clock.advance(100)
    before = page.world.contents()
    answer = page.status()
    assert answer.pop("session")
    assert answer == {
        "status": 200,
        "state": "active",
        "reason": None,
        "now": page.world.clock(),
        "signed_in": True,
        "idle_left": IDLE - 100,
        "absolute_left": ABSOLUTE - 100,
        "warning_lead": 120,
        "absolute_warning_lead": 300,
        "heartbeat_interval": 300,
        "next_heartbeat": 200,
        "nonce": None,
    }
    assert (page.world.contents(), page.world.trips.total) == (before, 1)
    page.world.clock.advance(IDLE - 101)
    assert page.status()["idle_left"] == 1
    page.world.clock.advance(1)
    assert page.status()["reason"] == "idle"


def test_an_answer_names_the_request_it_is_for(page: Page) -> None:
    """A page that is handed somebody else's out of a cache notices."""
    page.visit(sign_in)
    assert page.status("nonce=4f%22%3C")["nonce"] == '4f"<'
    assert len(page.status("nonce=" + "a" * 99)["nonce"]) == 64
    for name in ("heartbeat", "logout"):
        answer = page.send("POST", PREFIX + name, query="nonce=y")
        assert told(answer)["nonce"] == "y"
    assert page.status("path=/&nonce=x")["nonce"] == "x"


def test_heartbeat_extends_the_idle_clock_only(page: Page) -> None:
    page.visit(sign_in)
    page.world.clock.advance(1000)
    answer = page.beat()
    assert (answer["status"], answer["extended"], answer["state"]) == (200, True, "active")
    assert (answer["idle_left"], answer["absolute_left"]) == (IDLE, ABSOLUTE - 1000)
    assert page.world.trips.total == 2
    assert page.status()["idle_left"] == IDLE


def test_heartbeats_never_reach_past_the_absolute_end(page: Page) -> None:
    page.visit(sign_in)
    for _ in range(16):
        page.world.clock.advance(1799)
        assert page.beat()["status"] == 200
    page.world.clock.advance(16)
    answer = page.beat()
    assert (answer["status"], answer["state"], answer["reason"]) == (401, "ended", "absolute")


def test_a_report_makes_the_extension_smaller_and_never_larger(page: Page) -> None:
    page.visit(sign_in)
    page.world.clock.advance(1000)
    assert page.beat(idle=400)["idle_left"] == IDLE - 400
    assert page.beat(idle=900)["idle_left"] == IDLE - 400
    assert page.beat(idle=-1e9)["idle_left"] == IDLE
    assert page.beat(idle=10**400)["idle_left"] == IDLE


def test_somebody_away_longer_than_the_session_lived_extends_nothing(page: Page) -> None:
    page.visit(sign_in)
    page.world.clock.advance(1000)
    answer = page.beat(idle=5000)
    assert (answer["extended"], answer["idle_left"]) == (False, IDLE - 1000)
    assert page.world.trips.total == 1


def test_heartbeats_are_throttled(page: Page) -> None:
    page.visit(sign_in)
    page.world.clock.advance(89)
    assert page.beat()["extended"] is False
    assert page.world.trips.total == 1
    page.world.clock.advance(1)
    assert page.beat()["extended"] is True
    assert page.beat()["extended"] is False


def test_a_heartbeat_revives_nothing(page: Page) -> None:
    page.visit(sign_in)
    page.world.revoke()
    answer = page.beat()
    assert (answer["status"], answer["state"], answer["reason"]) == (401, "ended", "revoked")
    assert answer["idle_left"] is answer["session"] is None
    assert page.world.live() == []
    assert COOKIE in page.browser.cookies  # a loser never clears the winner's cookie


def test_a_session_ended_between_load_and_touch_is_told_as_ended(page: Page) -> None:
    page.visit(sign_in)
    page.world.clock.advance(1000)
    page.world.outage.before["touch"] = page.world.revoke
    answer = page.beat()
    assert (answer["status"], answer["state"], answer["reason"]) == (401, "ended", "revoked")
    assert answer["extended"] is False


def test_a_page_that_was_open_while_the_cookie_got_another_name(runner: Any) -> None:
    """What only looks does not take the one cookie its browser has."""
    page = Page(runner, previous_cookies=("former",))
    page.visit(sign_in)
    page.browser.cookies["former"] = page.browser.cookies.pop(COOKIE)
    assert page.status()["state"] == "active"
    page.post("lost", {})
    page.world.outage.down = True
    assert page.send("GET", f"{PREFIX}status").status == 503
    page.world.outage.down = False
    assert list(page.browser.cookies) == ["former"]
    assert page.beat()["status"] == 200
    assert list(page.browser.cookies) == [COOKIE]
    page.runner.close()


def test_without_a_cookie_there_is_nobody(page: Page) -> None:
    answer = page.status()
    assert (answer["status"], answer["state"], answer["now"]) == (
        200,
        "anonymous",
        page.world.clock(),
    )
    assert page.beat()["status"] == 401
    assert page.world.trips.total == 0
    page.browser.cookies[COOKIE] = "forged"
    assert page.beat()["state"] == "anonymous"
    assert page.world.trips.total == 0


def test_a_visitor_with_a_basket_is_told_too(page: Page) -> None:
    page.visit(lambda session: session.update(basket=1))
    answer = page.status()
    assert (answer["state"], answer["signed_in"], answer["idle_left"]) == ("active", False, IDLE)


def test_logout_ends_the_session_and_the_cookie(page: Page) -> None:
    page.visit(sign_in)
    dead = dict(page.browser.cookies)
    answer = told(page.post("logout"))
    assert (answer["status"], answer["state"], answer["reason"]) == (200, "ended", "signed_out")
    assert (page.browser.cookies, page.world.live()) == ({}, [])
    page.browser.cookies.update(dead)
    assert page.status()["reason"] == "signed_out"
    assert told(page.post("logout"))["status"] == 200


def test_the_key_is_the_same_in_all_tabs_and_new_for_each_session(page: Page) -> None:
    page.visit(sign_in)
    first = page.status()["session"]
    assert page.status()["session"] == first
    assert first not in str(page.world.contents())
    page.visit(lambda session: session.regenerate())
    second = page.status()["session"]
    page.visit(sign_in)
    assert len({first, second, page.status()["session"]}) == 3


def test_an_outage_is_no_end(page: Page) -> None:
    page.visit(sign_in)
    page.world.outage.down = True
    for answer in (page.send("GET", f"{PREFIX}status"), page.post("heartbeat")):
        assert (answer.status, answer.body) == (503, b'{"state": "unavailable"}')
        assert answer.one("retry-after") == "5"
        assert answer.all("set-cookie") == []
    answer = page.post("logout")
    assert answer.status == 503
    assert page.browser.cookies == {}


def test_an_outage_under_the_anonymous_policy_is_no_end_either(runner: Any) -> None:
    page = Page(runner, on_store_error="anonymous")
    page.visit(sign_in)
    page.world.outage.down = True
    assert page.post("heartbeat").status == 503
    page.runner.close()


def test_a_touch_that_fails_is_not_told_as_an_extension(page: Page) -> None:
    page.visit(sign_in)
    page.world.clock.advance(1000)
    page.world.outage.down, page.world.outage.only = True, frozenset({"touch"})
    assert page.post("heartbeat").status == 503


def test_rotation_goes_on_under_heartbeats(runner: Any) -> None:
    page = Page(runner, rotation_interval=600)
    page.visit(sign_in)
    tokens = {page.browser.cookies[COOKIE]}
    for _ in range(4):
        page.world.clock.advance(700)
        assert page.beat()["status"] == 200
        tokens.add(page.browser.cookies[COOKIE])
    assert len(tokens) > 2
    assert page.world.live() == [("ada", {})]
    page.runner.close()


def test_short_sessions_are_warned_in_proportion(runner: Any) -> None:
    page = Page(runner, policies={"brief": Policy(150, 400)})
    page.visit(lambda session: session.login("ada", policy="brief"))
    answer = page.status()
    assert (answer["warning_lead"], answer["absolute_warning_lead"]) == (75, 200)
    assert answer["heartbeat_interval"] == 25
    page.runner.close()


def test_a_set_interval_is_kept_within_a_short_session(runner: Any) -> None:
    page = Page(runner, idle_timeout=3600, heartbeat_interval=600)
    for policy, interval in (("default", 600), ("nist_aal3", 300)):
        page.visit(lambda session, policy=policy: session.login("ada", policy=policy))  # type: ignore[misc]
        assert page.status()["heartbeat_interval"] == interval
    page.runner.close()


def test_a_guess_of_a_secret_learns_nothing(page: Page) -> None:
    page.visit(sign_in)
    token = page.world.desk(page.world.settings).signer.verify(page.world.token())
    guess = replace(token, secret="x" * 43)
    page.browser.cookies[COOKIE] = page.world.desk(page.world.settings).signer.sign(guess)
    answer = page.status()
    assert (answer["state"], answer["reason"], answer["session"]) == ("anonymous", None, None)
    assert page.world.live() == [("ada", {})]


def test_the_prefix_is_below_the_place_the_application_is_mounted_at() -> None:
    """As a server with a root path gives it, and as a mount inside another application does."""
    page = Page(Asgi)
    for path in ("/shop/_session/status", "/_session/status"):
        response = asyncio.run(_mounted(page, path))
        assert told(response)["state"] == "anonymous", path
    for mount in ("/shop/", "/"):
        response = asyncio.run(_mounted(page, f"{mount.rstrip('/')}/_session/status", mount))
        assert told(response)["state"] == "anonymous", mount
    assert asyncio.run(_mounted(page, "/shop/other/_session/status")).body == b"ok"
    wsgi = Page(Wsgi)
    call = Call(None, "GET", "/_session/status")
    found = wsgi_request(wsgi.runner.app, call, SCRIPT_NAME="/shop")
    assert told(found)["state"] == "anonymous"


async def _mounted(page: Page, path: str, mount: str = "/shop") -> Response:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await page.runner.app({**scope, "root_path": mount}, receive, send)

    return await asgi_request(app, Call(None, "GET", path))


def test_losses_are_told_to_the_listeners(page: Page, heard: list[ev.Event]) -> None:
    page.visit(sign_in)
    page.world.revoke()
    answer = page.post("lost", {"state": "ended", "believed_left": 812.5})
    assert (answer.status, answer.body) == (204, b"")
    [lost] = [each for each in heard if isinstance(each, ev.ClientLost)]
    assert (lost.reason, lost.state, lost.believed_left) == ("revoked", "ended", 812.5)
    assert lost.session_id
    page.post("lost", {"state": "<script>"})
    assert heard[-1].state == ""  # type: ignore[attr-defined]


def test_heartbeats_are_told_to_the_listeners(page: Page, heard: list[ev.Event]) -> None:
    page.visit(sign_in)
    page.world.clock.advance(1000)
    page.beat()
    page.beat()
    found = [each.extended for each in heard if isinstance(each, ev.HeartbeatReceived)]
    assert found == [True, False]


@pytest.fixture
def heard(page: Page) -> list[ev.Event]:
    found: list[ev.Event] = []
    page.world.listeners.append(found.append)
    return found


def test_switched_off_the_prefix_is_the_applications(runner: Any) -> None:
    page = Page(runner, world=World())
    assert page.visit(lambda session: "mine", f"{PREFIX}status").body == b"mine"
    page.runner.close()


def test_a_prefix_of_ones_own(runner: Any) -> None:
    page = Page(runner, heartbeat_prefix="/here")
    assert told(page.send("GET", "/here/status"))["state"] == "anonymous"
    assert page.visit(lambda session: "mine", "/hereabouts").body == b"mine"
    page.runner.close()
