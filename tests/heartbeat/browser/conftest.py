"""Chromium, sites and people, shared by the tests of this folder.

All of them are browser tests: Playwright keeps an event loop running in this thread until the last
one is done, and meanwhile no test could run one of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests import browser
from tests.fresh import namespace
from tests.heartbeat.fronts import Front
from tests.heartbeat.sites import KINDS, Site
from tests.server_process import ServerProcess
from tests.servers import Servers

from .people import Person

HOSTS = "--host-resolver-rules=MAP *.example 127.0.0.1, MAP *.test 127.0.0.1"
Meet = Callable[..., Person]
Stand = Callable[[Front], ServerProcess]

SETTINGS: dict[str, Any] = {
    "max_sessions_per_user": 2,
    "rotation_interval": 900.0,
    "policies": {"brief": [300.0, 900.0]},
}


@pytest.fixture(scope="package")
def chromium(servers: Servers) -> Iterator[Browser]:
    """Every name below .example and .test is this machine."""
    with browser.chromium(servers, HOSTS) as started:
        yield started


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Site]]:
    """The running site of a framework, one for all tests."""
    with ExitStack() as stack:
        known: dict[str, Site] = {}

        def site(kind: str) -> Site:
            if kind not in known:
                folder = tmp_path_factory.mktemp(kind)
                known[kind] = stack.enter_context(Site(kind, folder, **SETTINGS))
            return known[kind]

        yield site


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest, running: Callable[[str], Site]) -> Iterator[Site]:
    """A site, in each framework."""
    site = running(request.param)
    yield site
    site.mend()


@pytest.fixture
def meet(chromium: Browser) -> Iterator[Meet]:
    """Makes people. In the end nothing of theirs was blocked, and no script has failed."""
    met: list[Person] = []

    def meet(site: Site, url: str | None = None, **options: Any) -> Person:
        met.append(Person(chromium, site, url, **options))
        return met[-1]

    yield meet
    for person in met:
        person.context.close()
    for person in met:
        assert person.errors == []
        assert person.site.requests("/csp") == []


@pytest.fixture
def stand(servers: Servers) -> Iterator[Stand]:
    """Puts a proxy in front of a site."""
    started: list[ServerProcess] = []

    def stand(front: Front) -> ServerProcess:
        started.append(servers.start(front))
        return started[-1]

    yield stand
    for each in started:
        each.remove()


@pytest.fixture
def name() -> str:
    """A user of the test's own."""
    return namespace()
