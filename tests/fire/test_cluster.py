"""New identities in a Redis Cluster, where old and new lie on different servers.

The process dies between any two steps of it, or somebody else comes in between; then the person
goes on with the cookie the browser has.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest

from openclaw_middleware import EndReason
from tests.fresh import namespace as new_namespace
from tests.servers import Servers
from tests.stores.redis_tools import stepping_cluster, stepping_store

from .ledger import Ledger
from .places import KINDS, SITES, Place, Sites, fresh_user
from .visits import PATIENCE, Answer, Handler, Visit, Visitor, login, logout, read, whoami, write

LOAD = 1  # the request's own, before the steps of the succession
STEPS = [(step, when) for step in (1, 2, 3) for when in ("before", "after")]


class Crash(BaseException):
    """The process is gone at this point: nobody catches it."""


@pytest.fixture(scope="module")
def cluster(servers: Servers) -> Iterator[str]:
    with stepping_cluster(servers) as url:
        yield url


@pytest.fixture
def cluster_site(sites: Sites, cluster: str, kind: str) -> tuple[Any, Any, Any]:
    """A site, its client, and another server on the same store, which stands for everybody else."""
    place = Place("cluster", cluster, new_namespace())
    made = []
    for each in (kind, "flask" if kind.startswith("django") else kind):
        store = stepping_store(cluster, place.settings().store_options(), SITES[each].colour)
        made.append((sites.on(each, place.settings(store=store)), store._client()))
    (site, client), (other, _) = made
    return site, client, other


def leave_a_word(visit: Visit) -> None:
    visit.session.logout()
    visit.session["bye"] = 1


def regenerate(visit: Visit) -> None:
    visit.session.regenerate()


def die(client: Any) -> None:
    client.gone = Crash()


def visitor_of(other: Any) -> Visitor:
    visitor: Visitor = other.visitor()
    visitor.ok(write(basket=1))
    return visitor


# begins as, does, and who it is afterwards with which data
CHANGES: dict[str, tuple[bool, Callable[[str], Handler], bool, dict[str, Any]]] = {
    "visitor signs in": (False, lambda user: login(user), True, {"basket": 1}),
    "another user signs in": (True, lambda user: login(user), True, {}),
    "leaves with a word": (True, lambda user: leave_a_word, False, {"bye": 1}),
}


# Django's handler leaves the body of a request open that ends like this.
@pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_crash_between_any_two_steps_leaves_one_or_none(
    cluster_site: Any, kind: str, ledger: Ledger, change: str
) -> None:
    """The old session, the new one or neither, never both; and trying again works."""
    site, client, other = cluster_site
    known, does, signed_in, data = CHANGES[change]
    colour = f"cluster {site.colour}"
    with ledger.trials("crash between two steps", colour) as trials:
        for step, when in STEPS:
            user, before = fresh_user(), fresh_user()
            browser = other.signed_in(before, basket=1) if known else visitor_of(other)
            client.at(LOAD + step, when, partial(die, client))
            with pytest.raises(Crash):
                browser.twin(site).do(does(user))
            client.gone = None  # another process takes its place
            done = step - (when == "before")
            found = browser.twin(other).ok(whoami)
            listed = len(other.manage("sessions_of", user).items)
            old = (before if known else None, {"basket": 1}, None)
            dead = (None, {}, EndReason.REPLACED)
            if change == "leaves with a word":
                dead = (None, {}, EndReason.SIGNED_OUT)
            trials.check(
                (found["user"], found["data"], found["end"]) == (old if done < 2 else dead)
                and listed == (1 if done == 3 and signed_in else 0)
                and (not known or len(other.manage("sessions_of", before).items) == (done < 2)),
                (step, when, found, listed),
            )
            again = browser.twin(site)
            again.ok(does(user))
            found = again.twin(other).ok(whoami)
            kept = data if done < 2 or change != "visitor signs in" else {}
            trials.check(
                (found["user"], found["data"]) == (user if signed_in else None, kept),
                (step, when, found),
            )
            assert browser.twin(other).ok(whoami)["user"] is None
    gc.collect()


@pytest.mark.parametrize("kind", KINDS)
def test_one_user_is_one_step(cluster_site: Any, kind: str, ledger: Ledger) -> None:
    """A new id or a step-up of the same user lies on one server: nothing can come in between."""
    site, client, _ = cluster_site
    with ledger.trials("crash between two steps", f"cluster {site.colour}") as trials:
        for change in (lambda user: regenerate, lambda user: login(user)):
            user = fresh_user()
            ada = site.signed_in(user, a=1)
            old = ada.twin()
            client.count = 0
            ada.ok(change(user))
            commits = client.count - 1  # after the load
            trials.check(commits == 1, commits)
            assert ada.ok(read) == {"a": 1}
            assert old.ok(whoami)["user"] is None


def meanwhile(site: Any, client: Any, step: int, act: Callable[[], Any]) -> None:
    """Before that step of the next succession, let somebody else act, and wait for it."""
    if site.colour == "sync":
        client.at(LOAD + step, "before", act)
        return

    async def acted() -> None:
        await asyncio.get_running_loop().run_in_executor(None, act)

    client.at(LOAD + step, "before", acted)


def started(browser: Visitor, site: Any, handler: Handler) -> Answer:
    pending: Future[Answer] = browser.twin(site).begin(handler)
    return pending.result(PATIENCE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [1, 2, 3])
def test_another_tab_writes_between_the_steps(
    cluster_site: Any, kind: str, step: int, ledger: Ledger
) -> None:
    """A visitor's other tab writes while the sign-in is under way: what was stored before the old
    session ended is in the new one; what comes after is dropped, and nothing reaches the user."""
    site, client, other = cluster_site
    user = fresh_user()
    browser = visitor_of(other)
    tab = browser.twin(other)
    answers: list[Answer] = []
    meanwhile(site, client, step, lambda: answers.append(tab.twin().do(write(late=1))))
    ada = browser.twin(site)
    answer = ada.do(login(user))
    found = ada.twin(other).ok(whoami)
    late = {"late": 1} if step < 3 else {}
    with ledger.trials("cluster: between the steps", f"cluster {site.colour}") as trials:
        trials.check(
            answer.status == 200
            and (found["user"], found["data"]) == (user, {"basket": 1, **late})
            and tab.ok(whoami)["data"] != {"basket": 1, "late": 1}
            and len(other.manage("sessions_of", user).items) == 1,
            (found, answers),
        )
        assert [each.status for each in answers] == [200]
        # Afterwards the tab is a stranger; what it wrote too late began a session of its own.
        assert tab.twin().ok(whoami)["user"] is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [1, 2, 3])
def test_log_out_everywhere_between_the_steps(
    cluster_site: Any, kind: str, step: int, ledger: Ledger
) -> None:
    """The password was checked before it: 409, and nobody is signed in."""
    site, client, other = cluster_site
    user = fresh_user()
    browser = visitor_of(other)
    meanwhile(site, client, step, lambda: other.manage("revoke_user", user))
    ada = browser.twin(site)
    answer = ada.do(login(user))
    with ledger.trials("cluster: between the steps", f"cluster {site.colour}") as trials:
        trials.check(
            answer.status == 409
            and not answer.ours
            and other.manage("sessions_of", user).items == ()
            and browser.twin(other).ok(whoami)["user"] is None,
            answer,
        )
        if step == 1:
            assert browser.twin(other).ok(read) == {"basket": 1}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_logout_between_the_steps(
    cluster_site: Any, kind: str, step: int, ledger: Ledger
) -> None:
    """Ada leaves in one tab while Bob signs in over her session in the other: Bob is in, without
    her data, and she is out."""
    site, client, other = cluster_site
    ada, bob = fresh_user(), fresh_user()
    browser = other.signed_in(ada, hers=1)
    meanwhile(site, client, step, lambda: started(browser, other, logout))
    late = browser.twin(site)
    answer = late.do(login(bob))
    found = late.twin(other).ok(whoami)
    with ledger.trials("cluster: between the steps", f"cluster {site.colour}") as trials:
        trials.check(
            answer.status == 200
            and (found["user"], found["data"]) == (bob, {})
            and other.manage("sessions_of", ada).items == ()
            and browser.twin(other).ok(whoami)["user"] is None,
            (answer, found),
        )
