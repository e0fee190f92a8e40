"""Timed rotation signs nobody out: parallel requests, two tabs, lost responses, lost replies.

A rotation is due at every request. In each round some requests have loaded the session under one
token; while half of them still stand in their handlers, the others are answered and a second tab
brings the new token into force; a last request with the old one was slow to arrive. Responses get
lost on their way to the browser, and answers of the store on theirs to the server.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from openclaw_middleware.core.events import Rotated, StoreWentBack, TheftSuspected
from openclaw_middleware.core.steps import Steps
from openclaw_middleware.testing import LostReplies

from .ledger import TRIALS, Ledger
from .ordeal import wait_for
from .places import Place, Sites, always_rotating, fresh_user
from .visits import PATIENCE, Handler, Hold, Visit, Visitor, whoami

TOGETHER = 6
LOST = 0.2


def standing(hold: Hold, *, writes: bool) -> Handler:
    """Load, stand, perhaps write; whose session it was."""

    def handler(visit: Visit) -> Steps[Any]:
        user = visit.session.user_id
        yield hold.stand(visit)
        if writes:
            visit.session.apply("n", lambda n: n + 1, 0)
        return user

    return handler


def generation(visitor: Visitor) -> int:
    assert visitor.cookie is not None
    return int(visitor.cookie.rsplit(".", 3)[1])


@pytest.mark.parametrize("every", [None, 5], ids=["", "replies lost"])
def test_rotation_signs_nobody_out(
    sites: Sites, place: Place, kind: str, ledger: Ledger, every: int | None
) -> None:
    """Every answer is the user's own or says 503; the session goes on, under ever new tokens."""
    faults = [LostReplies("rotate", times=None, every=every)] if every else []
    site = always_rotating(sites(kind, place, *faults))
    events: list[object] = []
    site.runtime.events.add([events.append])
    chance = random.Random(f"{place.name} {kind} {every}")
    user = fresh_user()
    browser = site.signed_in(user)

    def arrives(pending: Any) -> None:
        """A response, unless it is lost on its way."""
        lost = chance.random() < LOST
        answer = pending.result(PATIENCE) if lost else browser.finish(pending)
        if answer.status == 503 and every:
            assert not answer.ours
            return
        trials.check(answer.status == 200 and answer.data == user, answer)

    where = f"{place.name} {site.colour}"
    with ledger.trials("rotation: no false logout", where) as trials:
        for _ in range(TRIALS):
            late = browser.twin()
            quick, slow = Hold(TOGETHER), Hold(TOGETHER)
            pending = [
                [browser.begin(standing(hold, writes=n % 2 == 0)) for n in range(TOGETHER)]
                for hold in (quick, slow)
            ]
            for hold in (quick, slow):
                hold.reached()
            quick.open()
            chance.shuffle(pending[0])
            for each in pending[0]:
                arrives(each)
            second = Hold(2)
            second.open()
            arrives(browser.begin(standing(second, writes=False)))
            arrives(late.begin(standing(second, writes=False)))
            slow.open()
            chance.shuffle(pending[1])
            for each in pending[1]:
                arrives(each)
        # Several lost answers in a row look like an outage for a moment.
        wait_for(lambda: browser.do(whoami).status == 200)
        trials.check(browser.ok(whoami)["user"] == user)
    assert not [e for e in events if isinstance(e, TheftSuspected | StoreWentBack)]
    assert generation(browser) >= TRIALS // 3
    assert any(isinstance(event, Rotated) and event.promoted for event in events)
