"""At most N sessions for a user, under fifty sign-ins at once; and why a session is over."""

from __future__ import annotations

import time
from typing import Any

import pytest

from openclaw_middleware import EndReason
from openclaw_middleware.core.events import DeadTokenPresented

from .ledger import Ledger
from .places import Place, Sites, fresh_user, rotate_always
from .visits import (
    PATIENCE,
    Hold,
    Visit,
    Visitor,
    all_done,
    login,
    logout,
    read,
    whoami,
)

FIFTY, ALLOWED = 50, 3


@pytest.mark.parametrize("policy", ["end_oldest", "reject"])
def test_fifty_sign_ins_leave_three(
    sites: Sites, place: Place, kind: str, ledger: Ledger, policy: str
) -> None:
    """All fifty stand in their handlers, then commit at once, over two servers."""
    count = 1 if kind.startswith("django") else 2
    limit: dict[str, Any] = {"max_sessions_per_user": ALLOWED, "on_limit": policy}
    servers = [sites(kind, place, **limit) for _ in range(count)]
    user, hold = fresh_user(), Hold(FIFTY)

    def sign_in(visit: Visit):
        visit.session.login(user)
        yield hold.stand(visit)

    visitors = [servers[n % count].visitor() for n in range(FIFTY)]
    pending = [visitor.begin(sign_in) for visitor in visitors]
    hold.reached()
    hold.open()
    statuses = [answer.status for answer in all_done(pending)]
    found = [
        visitor.ok(whoami)
        for visitor, waiting in zip(visitors, pending, strict=True)
        if visitor.finish(waiting).status == 200
    ]
    alive = [each for each in found if each["user"] == user]
    dead = [each["end"] for each in found if each["user"] is None]
    with ledger.trials(f"at most N: {policy}", f"{place.name} {servers[0].colour}") as trials:
        trials.check(len(alive) == ALLOWED, statuses)
        assert len(servers[0].manage("sessions_of", user).items) == ALLOWED
        if policy == "reject":
            assert sorted(statuses) == [200] * ALLOWED + [409] * (FIFTY - ALLOWED)
        else:
            assert statuses == [200] * FIFTY
            assert dead == [EndReason.LIMIT] * (FIFTY - ALLOWED)


def regenerate(visit: Visit) -> None:
    visit.session.regenerate()


def session_id(visitor: Visitor) -> str:
    """The public id that the visitor's cookie names."""
    assert visitor.cookie is not None
    return visitor.cookie.rsplit(".", 3)[0]


def steal(site: Any, ada: Visitor, user: str) -> None:
    """Somebody comes with a secret that was replaced, after its grace."""
    thief = ada.twin()
    assert ada.do(read).ours
    assert not ada.do(read).ours
    thief.do(read)


ENDS = {
    EndReason.SIGNED_OUT: lambda site, ada, user: ada.twin().do(logout),
    EndReason.REVOKED: lambda site, ada, user: site.manage("revoke_user", user),
    EndReason.REPLACED: lambda site, ada, user: ada.twin().do(regenerate),
    EndReason.LIMIT: lambda site, ada, user: [site.signed_in(user) for _ in range(ALLOWED)],
    EndReason.THEFT: steal,
}


@pytest.mark.parametrize("reason", ENDS)
def test_the_next_request_learns_why(
    sites: Sites, place: Place, kind: str, ledger: Ledger, reason: EndReason
) -> None:
    """`previous_end`, the event and the manager agree on the reason."""
    events: list[object] = []
    settings: dict[str, Any] = {"max_sessions_per_user": ALLOWED}
    site = sites(kind, place, **settings)
    if reason is EndReason.THEFT:
        rotate_always(site.runtime, grace=0)
    site.runtime.events.add([events.append])
    user = fresh_user()
    ada = site.signed_in(user, secret=1)
    assert site.manage("end_of", session_id(ada)) is None
    ENDS[reason](site, ada, user)
    events.clear()
    found = ada.ok(whoami)
    told = [event.reason for event in events if isinstance(event, DeadTokenPresented)]
    with ledger.trials("ended sessions say why", f"{place.name} {site.colour}") as trials:
        trials.check((found["user"], found["data"], found["end"]) == (None, {}, reason), found)
        assert told == [reason]
        assert site.manage("end_of", session_id(ada)) is reason
        assert site.manage("get", session_id(ada)) is None


def test_of_what_nobody_remembers_the_reason_is_gone(
    sites: Sites, place: Place, kind: str, ledger: Ledger
) -> None:
    """A token of ours whose record is not there (any more): purged, or the store was emptied."""
    site = sites(kind, place)
    desk = site.runtime.desk
    lost = Visitor(site, desk.signer.sign(desk.mint(fresh_user())))
    found = lost.ok(whoami)
    with ledger.trials("ended sessions say why", f"{place.name} {site.colour}") as trials:
        trials.check((found["user"], found["end"]) == (None, EndReason.GONE), found)
        assert site.manage("end_of", session_id(lost)) is EndReason.GONE


@pytest.mark.parametrize(
    ("reason", "settings"),
    [
        (EndReason.IDLE, {"idle_timeout": 0.2, "absolute_timeout": 3600}),
        (EndReason.ABSOLUTE, {"idle_timeout": None, "absolute_timeout": 0.2}),
    ],
    ids=["idle", "absolute"],
)
def test_a_deadline_ends_it_by_the_stores_clock(
    sites: Sites, place: Place, kind: str, ledger: Ledger, reason: EndReason, settings: Any
) -> None:
    """Nobody comes until the deadline has passed; the next request is anonymous and told why."""
    site = sites(kind, place, **settings)
    user = fresh_user()
    ada = site.signed_in(user)
    deadline = time.monotonic() + PATIENCE
    while site.manage("sessions_of", user).items:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    found = ada.ok(whoami)
    with ledger.trials("ended sessions say why", f"{place.name} {site.colour}") as trials:
        trials.check((found["user"], found["end"]) == (None, reason), found)
        assert site.manage("end_of", session_id(ada)) is reason


def test_a_refused_sign_in_keeps_the_visitors_session(
    sites: Sites, place: Place, kind: str, ledger: Ledger
) -> None:
    """With all places taken the anonymous session stays, with its data and its cookie."""
    site = sites(kind, place, max_sessions_per_user=1, on_limit="reject")
    user = fresh_user()
    ada = site.signed_in(user)
    late = site.visitor()
    late.ok(lambda visit: visit.session.update(basket=1))
    answer = late.do(login(user))
    with ledger.trials("at most N: reject", f"{place.name} {site.colour}") as trials:
        trials.check(
            answer.status == 409
            and not answer.ours
            and late.ok(whoami)["data"] == {"basket": 1}
            and ada.ok(whoami)["user"] == user,
            answer,
        )
