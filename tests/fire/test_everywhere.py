"""Log out everywhere is complete: against simultaneous sign-ins, without the index, across keys."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from openclaw_middleware import EndReason
from openclaw_middleware.testing import Gate

from .ledger import TRIALS, Ledger
from .places import SECRET, Place, Sites, fresh_user
from .visits import PATIENCE, Hold, Visit, Visitor, login, slowly, whoami, write

PARALLEL = 20


def everywhere(visit: Visit) -> None:
    visit.session.logout_everywhere()


def others(visit: Visit) -> None:
    visit.session.logout_others()


def nobody(visitor: Visitor) -> bool:
    return visitor.twin().ok(whoami)["user"] is None


@pytest.mark.parametrize("begun", ["without a session", "with a session"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_sign_in_held_at_the_store_does_not_slip_through(
    sites: Sites, place: Place, kind: str, ledger: Ledger, begun: str, when: str
) -> None:
    """The password was checked, the record is about to be made or just was: it is over either way.

    Before its step it is refused with 409 and no cookie; after it, its session is revoked.
    """
    verb = "create" if begun == "without a session" else "succeed"
    gate = Gate(verb, when, patience=PATIENCE)
    site = sites(kind, place, gate)
    admin = sites("flask" if site.colour == "sync" else "starlette", place)
    user = fresh_user()
    visitor = admin.visitor()
    if verb == "succeed":
        visitor.ok(write(basket=1))
    anonymous = visitor.cookie
    visitor = visitor.twin(site)
    pending = visitor.begin(login(user))
    gate._reached.result(PATIENCE)
    admin.manage("revoke_user", user)
    gate.open()
    answer = visitor.finish(pending)
    with ledger.trials("everywhere: forced sign-in", f"{place.name} {site.colour}") as trials:
        trials.check(
            answer.status == (409 if when == "before" else 200)
            and bool(answer.ours) == (when == "after")
            and nobody(visitor)
            and admin.manage("sessions_of", user).items == (),
            (answer, verb, when),
        )
        if when == "before":
            assert visitor.cookie == anonymous
        else:
            assert visitor.twin().ok(whoami)["end"] == EndReason.REVOKED


def test_a_storm_of_sign_ins_leaves_none_that_began_before(
    sites: Sites, place: Place, kind: str, ledger: Ledger
) -> None:
    """Twenty browsers sign in without a pause; whatever began before the logout is dead after it.

    A sign-in that begins after it has answered works.
    """
    site = sites(kind, place)
    user = fresh_user()
    ada = site.signed_in(user)
    begun: list[tuple[float, Visitor]] = []
    running, stop = threading.Barrier(PARALLEL + 1), threading.Event()

    def storm(number: int) -> None:
        running.wait(PATIENCE)
        while not stop.is_set():
            visitor = site.visitor()
            answer = visitor.do(sign_in)
            assert answer.status in (200, 409)
            begun.append((answer.data if answer.status == 200 else 0.0, visitor))

    def sign_in(visit: Visit) -> float:
        visit.session.login(user)
        return time.monotonic()

    with ThreadPoolExecutor(PARALLEL) as pool:
        work = [pool.submit(storm, n) for n in range(PARALLEL)]
        running.wait(PATIENCE)
        wait_until(lambda: len(begun) >= PARALLEL)
        before = time.monotonic()
        answer = ada.do(everywhere)
        count = len(begun)
        wait_until(lambda: len(begun) >= count + PARALLEL)
        stop.set()
        for each in work:
            each.result(PATIENCE)
    assert answer.status == 200
    assert answer.clears
    early = [visitor for at, visitor in begun if at < before]
    with ledger.trials("everywhere: storm of sign-ins", f"{place.name} {site.colour}") as trials:
        for visitor in early:
            trials.check(nobody(visitor))
    assert not nobody(sign_in_again(site, user))


def sign_in_again(site: Any, user: str) -> Visitor:
    """Sign in after a logout everywhere: at once, or after a 409 that asks to do so again.

    The start of a request is known in the store's time only to within a round trip, and is taken
    at its early end: a sign-in that follows faster than that is refused.
    """
    visitor = site.visitor()
    deadline = time.monotonic() + PATIENCE
    while (status := visitor.do(login(user)).status) != 200:
        assert status == 409
        assert time.monotonic() < deadline
    return visitor


def wait_until(true: Callable[[], bool], patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_after_a_new_password_one_call_leaves_this_browser_alone(
    sites: Sites, place: Place, kind: str, ledger: Ledger
) -> None:
    """All other browsers are out, a sign-in under way with the old password is refused, this one
    stays, and a further sign-in works."""
    site = sites(kind, place)
    with ledger.trials("logout_others", f"{place.name} {site.colour}") as trials:
        for _ in range(max(TRIALS // 4, 2)):
            user = fresh_user()
            browsers = [site.signed_in(user) for _ in range(4)]
            hold, late = Hold(), site.visitor()
            pending = late.begin(slowly(hold, then=login(user)))
            hold.reached()
            browsers[0].ok(others)
            hold.open()
            answer = late.finish(pending)
            found = [nobody(each) for each in browsers]
            trials.check(found == [False, True, True, True], found)
            trials.check(answer.status == 409 and not answer.ours, answer)
            assert len(site.manage("sessions_of", user).items) == 1
            assert not nobody(sign_in_again(site, user))


@pytest.mark.parametrize("place", ["redis"], indirect=True)
@pytest.mark.parametrize("kind", ["flask", "starlette"])
def test_it_needs_no_index(sites: Sites, place: Place, kind: str, ledger: Ledger) -> None:
    """With the user's index erased nothing is listed, and all the same everything ends."""
    site = sites(kind, place)
    with ledger.trials("everywhere: index erased", f"{place.name} {site.colour}") as trials:
        for _ in range(TRIALS):
            user = fresh_user()
            browsers = [site.signed_in(user) for _ in range(5)]
            with redis.Redis.from_url(place.url) as client:
                index = f"{place.namespace}:{{{site.runtime.desk.tag(user)}}}:i"
                assert client.delete(index) == 1
            assert site.manage("sessions_of", user).items == ()
            site.manage("revoke_user", user)
            trials.check(all(map(nobody, browsers)))


def test_it_reaches_across_secret_keys(
    sites: Sites, place: Place, kind: str, ledger: Ledger
) -> None:
    """While servers of the old and the new secret key run side by side, it works from either."""
    other = "flask" if kind in ("flask", "django") else "starlette"
    old = sites(other, place, secret_key_fallbacks=[])
    new = sites(kind, place, secret_key="a new " + SECRET, secret_key_fallbacks=[SECRET])
    with ledger.trials("everywhere: across keys", f"{place.name} {new.colour}") as trials:
        for _ in range(max(TRIALS // 4, 2)):
            user = fresh_user()
            first, second = old.signed_in(user), new.signed_in(user)
            assert first.twin(new).ok(whoami)["user"] == user
            assert new.manage("revoke_user", user) == 2
            trials.check(nobody(first) and nobody(second))
            first, second = sign_in_again(old, user), sign_in_again(new, user)
            old.manage("revoke_user", user)
            trials.check(nobody(first) and nobody(second))
            third = sign_in_again(old, user)
            third.twin(new).ok(everywhere)
            trials.check(nobody(third))
