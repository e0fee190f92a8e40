"""Sign-ins, new ids and logouts that overtake each other: what follows, what is dropped.

Same user: changes follow to the successor. Anonymous to a user: they are dropped. A logout follows
along the same user's chain.
"""

from __future__ import annotations

import pytest

from .ledger import TRIALS, Ledger
from .places import Place, Sites, fresh_user
from .visits import Handler, Hold, Visit, login, logout, read, slowly, whoami, write


def regenerate(visit: Visit) -> None:
    visit.session.regenerate()


def test_a_slow_anonymous_request_does_not_reach_into_the_sign_in(
    sites: Sites, place: Place, kind: str, ledger: Ledger
) -> None:
    """What an anonymous tab changes after the sign-in stays out of the user's session."""
    site = sites(kind, place)
    with ledger.trials("anonymous never follows to a user", f"{place.name} {site.colour}") as t:
        for _ in range(TRIALS):
            visitor = site.visitor()
            visitor.ok(write(basket=["book"]))
            old = visitor.twin()
            hold = Hold()
            pending = old.begin(slowly(hold, then=write(planted=1)))
            hold.reached()
            user = fresh_user()
            visitor.ok(login(user))
            hold.open()
            answer = pending.result(30)
            found = visitor.ok(whoami)
            t.check(
                answer.status == 200
                and not answer.ours
                and (found["user"], found["data"]) == (user, {"basket": ["book"]})
                and old.ok(whoami)["user"] is None
                and len(site.manage("sessions_of", user).items) == 1,
                (answer, found),
            )


def step_up(visit: Visit) -> None:
    """The same person signs in again, by a stronger means."""
    visit.session.login(visit.session.user_id, claims={"method": "key"})


@pytest.mark.parametrize("change", [regenerate, step_up])
def test_changes_follow_a_new_id_of_the_same_user(
    sites: Sites, place: Place, kind: str, ledger: Ledger, change: Handler
) -> None:
    """A slow write arrives in the successor, under whose token alone it can be read."""
    site = sites(kind, place)
    with ledger.trials("changes follow the same user", f"{place.name} {site.colour}") as trials:
        for _ in range(TRIALS):
            user = fresh_user()
            ada = site.signed_in(user, a=1)
            old = ada.twin()
            hold = Hold()
            pending = old.begin(slowly(hold, then=write(late=1)))
            hold.reached()
            ada.ok(change)
            hold.open()
            answer = pending.result(30)
            trials.check(
                answer.status == 200
                and not answer.ours
                and ada.ok(read) == {"a": 1, "late": 1}
                and old.twin().ok(whoami)["user"] is None
                and len(site.manage("sessions_of", user).items) == 1,
                answer,
            )


def test_a_logout_overtakes_a_new_id(sites: Sites, place: Place, kind: str, ledger: Ledger) -> None:
    """The request that wants a new id comes second: nothing is made, no token is sent."""
    site = sites(kind, place)
    with ledger.trials("logout before regenerate", f"{place.name} {site.colour}") as trials:
        for _ in range(TRIALS):
            user = fresh_user()
            ada = site.signed_in(user, a=1)
            hold = Hold()
            pending = ada.twin().begin(slowly(hold, then=regenerate))
            hold.reached()
            ada.do(logout)
            hold.open()
            answer = pending.result(30)
            trials.check(
                answer.status == 200
                and not answer.ours
                and site.manage("sessions_of", user).items == (),
                answer,
            )


@pytest.mark.parametrize("change", [regenerate, step_up])
def test_a_logout_follows_a_new_id(
    sites: Sites, place: Place, kind: str, ledger: Ledger, change: Handler
) -> None:
    """The logout comes second, with the old token: the successor, already in use, ends too."""
    site = sites(kind, place)
    with ledger.trials("logout follows regenerate", f"{place.name} {site.colour}") as trials:
        for _ in range(TRIALS):
            user = fresh_user()
            ada = site.signed_in(user, a=1)
            hold = Hold()
            pending = ada.twin().begin(slowly(hold, then=logout))
            hold.reached()
            ada.ok(change)
            ada.ok(regenerate)
            hold.open()
            answer = pending.result(30)
            trials.check(
                answer.status == 200
                and answer.clears
                and ada.ok(whoami)["user"] is None
                and site.manage("sessions_of", user).items == (),
                answer,
            )


@pytest.mark.parametrize("before", ["ada", "a visitor"])
def test_a_logout_never_ends_another_users_sign_in(
    sites: Sites, place: Place, kind: str, ledger: Ledger, before: str
) -> None:
    """Bob signs in over a session while its logout is slow: Bob stays, with his cookie."""
    site = sites(kind, place)
    with ledger.trials("a loser spares the winner", f"{place.name} {site.colour}") as trials:
        for _ in range(TRIALS):
            browser = site.visitor()
            browser.ok(login(fresh_user(), a=1) if before == "ada" else write(a=1))
            hold = Hold()
            pending = browser.twin().begin(slowly(hold, then=logout))
            hold.reached()
            bob = fresh_user()
            browser.ok(login(bob))
            hold.open()
            answer = pending.result(30)
            found = browser.ok(whoami)
            trials.check(
                answer.status == 200
                and not answer.ours
                and (found["user"], found["data"]) == (bob, {} if before == "ada" else {"a": 1}),
                (answer, found),
            )


def test_two_sign_ins_at_once_leave_each_its_own(
    sites: Sites, place: Place, kind: str, ledger: Ledger
) -> None:
    """Two tabs of one anonymous browser sign in as two people: each has exactly their own."""
    site = sites(kind, place)
    with ledger.trials("two sign-ins at once", f"{place.name} {site.colour}") as trials:
        for _ in range(TRIALS):
            one = site.visitor()
            one.ok(write(basket=["book"]))
            two, old = one.twin(), one.twin()
            hold = Hold()
            users = fresh_user(), fresh_user()
            pending = one.begin(slowly(hold, then=login(users[0])))
            hold.reached()
            two.ok(login(users[1]))
            hold.open()
            one.finish(pending)
            found = [visitor.ok(whoami)["user"] for visitor in (one, two)]
            trials.check(
                found == list(users) and old.ok(whoami)["user"] is None and one.cookie, found
            )
