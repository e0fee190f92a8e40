"""A logout that overtakes a slow request of the same session is final, in every framework.

The slow request stands in its handler, or in the middle of its commit, while the logout comes and
goes. It answers normally, its changes are dropped with an event, and it sets no cookie.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from openclaw_middleware import EndReason
from openclaw_middleware.core.events import ChangesDropped, Rotated
from openclaw_middleware.testing import Gate

from .ledger import TRIALS, Ledger
from .places import Place, Sites, always_rotating, fresh_user
from .visits import PATIENCE, Hold, Visit, Visitor, logout, read, slowly, whoami, write


def keep_alive(visit: Visit) -> None:
    visit.session.keep_alive()


def regenerate(visit: Visit) -> None:
    visit.session.regenerate()


def increment(visit: Visit) -> None:
    visit.session.apply("n", lambda n: n + 1, 0)


def change_policy(visit: Visit) -> None:
    visit.session.use_policy("remember")


def drop_a_key(visit: Visit) -> None:
    del visit.session["a"]


SLOW: dict[str, Callable[[Visit], Any]] = {
    "reads": read,
    "writes": write(b=2),
    "deletes": drop_a_key,
    "increments": increment,
    "touches": keep_alive,
    "regenerates": regenerate,
    "changes limits": change_policy,
}
CHANGES = frozenset(SLOW) - {"reads", "touches"}


def is_over(visitor: Visitor) -> bool:
    """Whoever holds the old token is nobody, and is told why."""
    found = visitor.twin().ok(whoami)
    return (found["user"], found["data"]) == (None, {}) and found["end"] in (
        EndReason.SIGNED_OUT,
        EndReason.REPLACED,
    )


@pytest.mark.parametrize("slow", SLOW)
def test_nothing_revives_what_was_logged_out(
    sites: Sites, place: Place, kind: str, ledger: Ledger, slow: str
) -> None:
    """The slow request answers 200 without a cookie of ours, and nobody is signed in."""
    site = sites(kind, place)
    events: list[object] = []
    site.runtime.events.add([events.append])
    with ledger.trials("logout is final", f"{place.name} {site.colour}") as trials:
        for _ in range(max(TRIALS // 4, 2)):
            user = fresh_user()
            ada = site.signed_in(user, a=1)
            token = ada.twin()
            events.clear()
            hold = Hold()
            pending = ada.begin(slowly(hold, then=SLOW[slow]))
            hold.reached()
            assert token.twin().do(logout).clears
            hold.open()
            answer = ada.finish(pending)
            dropped = [event for event in events if isinstance(event, ChangesDropped)]
            trials.check(
                answer.status == 200
                and not answer.ours
                and is_over(token)
                and site.manage("sessions_of", user).items == ()
                and (bool(dropped) or slow not in CHANGES),
                (slow, answer, events),
            )


@pytest.mark.parametrize(
    ("verb", "when"), [("load", "after"), ("save", "before"), ("save", "after")]
)
def test_a_logout_in_the_middle_of_a_store_call(
    sites: Sites, place: Place, kind: str, ledger: Ledger, verb: str, when: str
) -> None:
    """The slow request is held around its own store call, the logout comes by another server."""
    gate = Gate(verb, when, patience=PATIENCE)
    slow_site = sites(kind, place, gate)
    quick_site = sites("flask" if slow_site.colour == "sync" else "starlette", place)
    user = fresh_user()
    ada = quick_site.signed_in(user, a=1)
    pending = ada.twin(slow_site).begin(write(b=2))
    gate._reached.result(PATIENCE)
    assert ada.twin().do(logout).clears
    gate.open()
    answer = pending.result(PATIENCE)
    with ledger.trials("logout inside a store call", f"{place.name} {slow_site.colour}") as trials:
        trials.check(
            answer.status == 200
            and not answer.ours
            and is_over(ada)
            and quick_site.manage("sessions_of", user).items == (),
            (answer, verb, when),
        )


def test_a_rotated_secret_of_a_finished_session_is_withheld(
    sites: Sites, place: Place, kind: str, ledger: Ledger
) -> None:
    """The slow request was about to hand out a new secret when the logout came: it does not."""
    gate = Gate("save", patience=PATIENCE)
    slow_site = always_rotating(sites(kind, place, gate))
    quick_site = sites("flask" if slow_site.colour == "sync" else "starlette", place)
    events: list[object] = []
    slow_site.runtime.events.add([events.append])
    ada = quick_site.signed_in(fresh_user(), a=1)
    pending = ada.twin(slow_site).begin(write(b=2))
    gate._reached.result(PATIENCE)
    assert [event for event in events if isinstance(event, Rotated)]
    assert ada.twin().do(logout).clears
    gate.open()
    answer = pending.result(PATIENCE)
    with ledger.trials("ended: no secret handed out", f"{place.name} {slow_site.colour}") as trials:
        trials.check(answer.status == 200 and not answer.ours and is_over(ada), answer)


@pytest.mark.parametrize("slow", ["writes", "deletes", "increments", "regenerates"])
def test_on_ended_error_answers_409(
    sites: Sites, place: Place, kind: str, ledger: Ledger, slow: str
) -> None:
    """With `on_ended="error"` a request whose changes cannot be stored any more says so."""
    site = sites(kind, place, on_ended="error")
    with ledger.trials('on_ended="error" is 409', f"{place.name} {site.colour}") as trials:
        for _ in range(max(TRIALS // 4, 2)):
            user = fresh_user()
            ada = site.signed_in(user, a=1)
            token = ada.twin()
            hold = Hold()
            pending = ada.begin(slowly(hold, then=SLOW[slow]))
            hold.reached()
            token.twin().do(logout)
            hold.open()
            answer = ada.finish(pending)
            trials.check(
                answer.status == 409
                and not answer.ours
                and is_over(token)
                and site.manage("sessions_of", user).items == (),
                (slow, answer),
            )
