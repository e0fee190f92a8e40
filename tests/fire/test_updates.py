"""Two overlapping requests of one session, through real frameworks: nothing either did is lost.

The slow request has loaded the session and stands in its handler while the quick one comes and
goes; nothing depends on timing.
"""

from __future__ import annotations

import pytest

from openclaw_middleware.core.events import Collided
from openclaw_middleware.testing import Counting

from .ledger import TRIALS, Ledger
from .places import Place, Sites, fresh_user
from .visits import Handler, Hold, Visit, read, slowly, write

BASE = {"cart": {"apples": 1, "pears": {"green": 1}}, "log": ["a"], "gone": {"n": 1}, "same": 0}


@pytest.fixture
def overlap(sites: Sites, place: Place, kind: str, ledger: Ledger):
    """Repeat: a slow request held in its handler, a quick one in between, and what is stored."""

    def run(promise: str, slow: Handler, quick: Handler, expected: object, *, first: bool) -> None:
        site = sites(kind, place)
        with ledger.trials(promise, f"{place.name} {site.colour}") as trials:
            for _ in range(TRIALS):
                ada = site.signed_in(fresh_user(), **BASE)
                hold = Hold()
                held = slowly(hold, first=slow) if first else slowly(hold, then=slow)
                pending = ada.begin(held)
                hold.reached()
                ada.ok(quick)
                hold.open()
                assert ada.finish(pending).status == 200
                stored = ada.ok(read)
                trials.check(stored == {**BASE, **expected}, stored)

    return run


@pytest.mark.parametrize("first", [True, False], ids=["changed before", "changed after"])
def test_different_keys_are_both_kept(overlap, first: bool) -> None:
    """Whichever request changes its key first and stores last, both keys are there."""
    overlap("different keys both kept", write(a=1), write(b=2), {"a": 1, "b": 2}, first=first)


def test_nested_dicts_merge_by_key(overlap) -> None:
    """Two entries added at different depths of one dict are both kept."""

    def slow(visit: Visit) -> None:
        visit.session["cart"]["plums"] = 3

    def quick(visit: Visit) -> None:
        visit.session["cart"]["pears"]["red"] = 2

    cart = {"apples": 1, "pears": {"green": 1, "red": 2}, "plums": 3}
    overlap("nested changes merge", slow, quick, {"cart": cart}, first=True)


def test_list_appends_are_both_kept(overlap) -> None:
    """Two requests append to one list: both values are there, in the order of the commits."""

    def slow(visit: Visit) -> None:
        visit.session["log"].append("slow")

    def quick(visit: Visit) -> None:
        visit.session["log"].append("quick")

    overlap("appends merge", slow, quick, {"log": ["a", "quick", "slow"]}, first=True)


def test_a_change_inside_a_deleted_value_does_not_bring_it_back(
    sites: Sites, place: Place, kind: str, ledger: Ledger
) -> None:
    """The quick request deletes a key in whose value the slow one has changed something."""

    def slow(visit: Visit) -> None:
        visit.session["gone"]["n"] = 2

    def quick(visit: Visit) -> None:
        del visit.session["gone"]

    site = sites(kind, place)
    with ledger.trials("deleted stays deleted", f"{place.name} {site.colour}") as trials:
        for _ in range(TRIALS):
            ada = site.signed_in(fresh_user(), **BASE)
            hold = Hold()
            pending = ada.begin(slowly(hold, first=slow))
            hold.reached()
            ada.ok(quick)
            hold.open()
            assert ada.finish(pending).status == 200
            trials.check("gone" not in ada.ok(read))


def test_a_true_collision_has_one_winner_and_an_event(
    sites: Sites, place: Place, kind: str, ledger: Ledger
) -> None:
    """Both requests set the same key: the later commit wins, and somebody is told."""
    site = sites(kind, place)
    events: list[object] = []
    site.runtime.events.add([events.append])
    with ledger.trials("collision: last wins, told", f"{place.name} {site.colour}") as trials:
        for _ in range(TRIALS):
            ada = site.signed_in(fresh_user(), **BASE)
            hold = Hold()
            events.clear()
            pending = ada.begin(slowly(hold, first=write(same="slow")))
            hold.reached()
            ada.ok(write(same="quick"))
            hold.open()
            assert ada.finish(pending).status == 200
            told = [event.paths for event in events if isinstance(event, Collided)]
            trials.check(ada.ok(read)["same"] == "slow" and told == [("same",)], told)


def test_a_slow_reader_writes_nothing(
    sites: Sites, place: Place, kind: str, ledger: Ledger
) -> None:
    """A request that only read costs one load, sets no cookie, and undoes no other's change."""
    trips = Counting()
    site = sites(kind, place, trips)
    with ledger.trials("readers never write", f"{place.name} {site.colour}") as trials:
        for _ in range(TRIALS):
            ada = site.signed_in(fresh_user(), **BASE)
            hold = Hold()
            trips.reset()
            pending = ada.begin(slowly(hold, first=read))
            hold.reached()
            ada.ok(write(same="quick"))
            hold.open()
            answer = ada.finish(pending)
            counted = dict(trips.trips)
            trials.check(
                answer.status == 200 and not answer.ours and counted == {"load": 2, "save": 1},
                counted,
            )
            assert ada.ok(read) == {**BASE, "same": "quick"}
