"""What must happen exactly once, or exactly a hundred times, among many simultaneous requests.

Starlette and Flask run as two servers on the same store, with locks and connections of their own.
"""

from __future__ import annotations

from typing import Any

import pytest

from openclaw_middleware.testing import Fault, LostReplies

from .ledger import Ledger
from .ordeal import wait_for
from .places import Place, Sites, fresh_user
from .visits import Hold, Visit, all_done, read


def servers_of(sites: Sites, kind: str, place: Place, *faults: Fault, **settings: Any) -> list[Any]:
    """Two servers where the framework allows two in one process."""
    count = 1 if kind.startswith("django") else 2
    return [sites(kind, place, *faults, **settings) for _ in range(count)]


def increment(visit: Visit) -> None:
    visit.session.apply("n", lambda n: n + 1, 0)


@pytest.mark.parametrize("round", range(2))
def test_a_one_time_value_goes_to_one_of_fifty(
    sites: Sites, place: Place, kind: str, ledger: Ledger, round: int
) -> None:
    """Fifty requests have all loaded the session with the value in it, then all take it."""
    servers = servers_of(sites, kind, place)
    ada = servers[0].signed_in(fresh_user(), code="secret", other=1)
    hold = Hold(50)

    def take(visit: Visit):
        visit.session.to_dict()
        yield hold.stand(visit)
        return (yield visit.take("code"))

    pending = [ada.twin(servers[n % len(servers)]).begin(take) for n in range(50)]
    hold.reached()
    hold.open()
    answers = all_done(pending)
    with ledger.trials("take: exactly one of 50", f"{place.name} {servers[0].colour}") as trials:
        assert [answer.status for answer in answers] == [200] * 50
        values = [answer.data for answer in answers]
        trials.check(values.count("secret") == 1 and values.count(None) == 49, values)
        assert ada.ok(read) == {"other": 1}


@pytest.mark.parametrize("every", [None, 7], ids=["", "replies lost"])
def test_a_hundred_increments_are_a_hundred(
    sites: Sites, place: Place, kind: str, ledger: Ledger, every: int | None
) -> None:
    """Each of a hundred simultaneous requests counts once, whatever answers get lost.

    Where the store's answer was lost the client is told 503; whether that increment was stored is
    for the record to say, so what was answered 200 is a lower bound and nothing is counted twice.
    """
    losses = LostReplies("save", times=None, every=every) if every else None
    servers = servers_of(sites, kind, place, *([losses] if losses else []))
    ada = servers[0].signed_in(fresh_user(), n=0)
    hold = Hold(100)

    def count(visit: Visit):
        visit.session.to_dict()
        yield hold.stand(visit)
        increment(visit)

    pending = [ada.twin(servers[n % len(servers)]).begin(count) for n in range(100)]
    hold.reached()
    hold.open()
    answers = all_done(pending)
    done = [answer.status for answer in answers].count(200)
    # Several lost answers in a row look like an outage for a moment.
    wait_for(lambda: ada.do(read).status == 200)
    stored = ada.ok(read)["n"]
    promise = "100 increments are 100" + (" (replies lost)" if every else "")
    with ledger.trials(promise, f"{place.name} {servers[0].colour}") as trials:
        trials.check(stored == 100 if losses is None else done <= stored <= 100, (stored, done))
        if losses is None:
            assert done == 100
