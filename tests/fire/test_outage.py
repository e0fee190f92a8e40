"""The store's real server frozen, killed, refusing, slow or silent, under all frameworks at once.

Bounded 503s with the cookie kept, nobody else disturbed, and recovery without a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from openclaw_middleware.testing import Counting
from tests.server_engines import MARIADB, POSTGRES, REDIS
from tests.server_process import ServerProcess
from tests.servers import Servers

from .ledger import Ledger
from .ordeal import TIMEOUT, Ordeal, at_once, nothing_leaked, under_way, wait_for
from .places import Place, Sites
from .proxy import Proxy
from .visits import read

ENGINES = {"redis": REDIS, "postgres": POSTGRES, "mariadb": MARIADB}
OPTIONS = {"redis": ("--appendonly", "yes", "--appendfsync", "always")}


@pytest.fixture(scope="module", params=ENGINES)
def private(
    request: pytest.FixtureRequest, servers: Servers
) -> Iterator[tuple[str, ServerProcess]]:
    """A server that only this module uses, and hurts."""
    server = servers.start(ENGINES[request.param], *OPTIONS.get(request.param, ()))
    yield request.param, server
    server.remove()


@pytest.fixture
def proxy(private: tuple[str, ServerProcess]) -> Iterator[Proxy]:
    made = Proxy(private[1].url)
    yield made
    made.close()


@pytest.fixture
def ordeals(
    private: tuple[str, ServerProcess], proxy: Proxy, namespace: str
) -> Iterator[list[Ordeal]]:
    """Every framework on a store behind the proxy; their sites are closed before the proxy is."""
    with ExitStack() as stack:
        place = Place(private[0], proxy.url, namespace)
        place.create_tables()
        yield open_ordeals(stack, place)


def open_ordeals(
    stack: ExitStack, place: Place, *, ordeal: type[Ordeal] = Ordeal, **settings: Any
) -> list[Any]:
    sites = Sites()
    stack.callback(sites.close)
    trips = [Counting() for _ in range(4)]
    settings = {"store_timeout": TIMEOUT, **settings}
    made = [
        sites(kind, place, counting, **settings)
        for kind, counting in zip(("flask", "starlette"), trips, strict=False)
    ]
    made += sites.both_djangos(place, (trips[2],), (trips[3],), **settings)
    return [ordeal(site, counting) for site, counting in zip(made, trips, strict=True)]


def freeze(server: ServerProcess, proxy: Proxy) -> Callable[[], None]:
    server.pause()
    return server.resume


def kill(server: ServerProcess, proxy: Proxy) -> Callable[[], None]:
    server.kill()
    return server.start


def slow_down(server: ServerProcess, proxy: Proxy) -> Callable[[], None]:
    proxy.delay = 3 * TIMEOUT

    def mend() -> None:
        proxy.delay = 0.0

    return mend


def swallow(server: ServerProcess, proxy: Proxy) -> Callable[[], None]:
    proxy.silent = True

    def mend() -> None:
        proxy.silent = False

    return mend


HURTS = {"frozen": freeze, "killed": kill, "slow": slow_down, "silent": swallow}


@pytest.mark.parametrize("hurt", HURTS)
def test_an_outage_is_not_a_logout(
    private: tuple[str, ServerProcess],
    proxy: Proxy,
    ordeals: list[Ordeal],
    ledger: Ledger,
    hurt: str,
) -> None:
    """Bounded 503s, cookies kept but for a logout, public pages served, recovery in place."""
    name, server = private
    before = under_way(ordeals)
    at_once(ordeals, "before")
    mend = HURTS[hurt](server, proxy)
    try:
        at_once(ordeals, "away")
        at_once(ordeals, "storm")
    finally:
        mend()
    at_once(ordeals, "recovered")
    nothing_leaked(ordeals, before)
    longest = max(each.longest for each in ordeals)
    storm = max(each.storm_seconds for each in ordeals)
    ledger.notes.append(
        f"{name} {hurt}: longest answer {longest:.2f} s, a hundred at once {storm:.2f} s "
        f"(store_timeout {TIMEOUT:g} s)"
    )
    for each in ordeals:
        with ledger.trials(f"outage: {hurt}", f"{name} {each.site.colour}") as trials:
            trials.check(True)


def test_a_restart_is_noticed_by_nobody(
    private: tuple[str, ServerProcess], ordeals: list[Ordeal], ledger: Ledger
) -> None:
    """Pooled connections are dead, and the next request of everybody is answered all the same."""
    name, server = private
    for _ in range(2):
        server.restart()
        for each in ordeals:
            with ledger.trials("restart unnoticed", f"{name} {each.site.colour}") as trials:
                trials.check(each.ada.do(read).status == 200)


def test_replies_cut_off_are_counted_once(
    proxy: Proxy, private: tuple[str, ServerProcess], ordeals: list[Ordeal], ledger: Ledger
) -> None:
    """Connections break after the write and before its answer: what was told is what is stored."""
    name, _ = private

    def increment(visit: Any) -> None:
        visit.session.apply("n", lambda n: n + 1, 0)

    for each in ordeals:
        told = 0
        for n in range(12):
            proxy.lose = n % 2
            told += each.ada.do(increment).status == 200
            proxy.lose = 0
            wait_for(lambda each=each: each.ada.do(read).status == 200)
        stored = each.ada.ok(read)["n"]
        with ledger.trials("cut replies counted once", f"{name} {each.site.colour}") as trials:
            trials.check(told <= stored <= 12, (told, stored))
            trials.check(told >= 6, told)
    assert proxy.lost >= 8


def test_anonymous_on_request(
    private: tuple[str, ServerProcess], proxy: Proxy, namespace: str, ledger: Ledger
) -> None:
    """With `on_store_error="anonymous"` pages are served read-only; cookie and record stay."""
    name, _ = private
    place = Place(name, proxy.url, namespace)
    place.create_tables()

    def keep(visit: Any) -> str:
        try:
            visit.session["kept"] = 1
        except Exception as error:
            return type(error).__name__
        return "written"

    with ExitStack() as stack:
        ordeals = open_ordeals(stack, place, on_store_error="anonymous")
        proxy.silent = True
        with ThreadPoolExecutor(len(ordeals)) as pool:  # each waits for its own timeout
            found = list(pool.map(lambda each: (each.ada.do(read), each.ada.do(keep)), ordeals))
        for each, (answer, refused) in zip(ordeals, found, strict=True):
            with ledger.trials("outage: anonymous", f"{name} {each.site.colour}") as trials:
                trials.check(answer.status == 200 and answer.data == {} and not answer.ours, answer)
                trials.check(not refused.ours and refused.data != "written", refused)
        proxy.silent = False
        for each in ordeals:
            wait_for(lambda each=each: each.ada.ok(read) == {"a": 1})
            assert len(each.site.manage("sessions_of", each.users[0]).items) == 1
