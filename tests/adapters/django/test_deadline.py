"""`store="django:..."` keeps the request's deadline on a locked SQLite file (P8).

The project's own busy timeout is longer. On other databases the store has connections of its own,
as `tests/stores/test_deadline.py` has them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.db import connections

from openclaw_middleware.adapters.django.deployment import Deployment as DjangosRuntime
from tests.stores.requests_lab import Deployment
from tests.stores.test_deadline import TIMEOUT, in_time, lock_late_and_again, lock_of


@pytest.fixture(params=["sync", "async"])
def site(request: pytest.FixtureRequest, test_database: None) -> Iterator[Deployment]:
    site = Deployment(request.param, "django:filed", "openclaw", TIMEOUT, DjangosRuntime)
    site.sign_in()
    yield site
    assert site.request().load().write(last=1).failure is None
    site.close()


@pytest.fixture
def other(test_database: None) -> Iterator[Any]:
    with closing(lock_of(connections["filed"].settings_dict["NAME"])) as other:
        yield other


def busy_timeout(site: Deployment) -> int:
    """Of Django's connection, in milliseconds, where the store works."""
    found: list[int] = []
    original = site.driver.store
    inner = getattr(original, "store", original)
    run = inner._run

    def look(body: Any, *args: Any) -> Any:
        answer = run(body, *args)
        raw = connections["filed"].connection
        found.append(raw.execute("PRAGMA busy_timeout").fetchone()[0])
        return answer

    inner._run = look
    site.call("now")
    del inner._run
    return found[0]


def test_waiting_for_the_lock_counts(site: Deployment, other: Any) -> None:
    before = busy_timeout(site)
    lock_late_and_again(site, other)
    assert busy_timeout(site) == before, "the project's own setting is back"


@pytest.mark.parametrize("site", ["async"], indirect=True)
def test_waiting_for_the_thread_counts(site: Deployment) -> None:
    """Django does all database work of async views in one thread, and it is busy."""
    from asgiref.sync import sync_to_async

    entered, leave = threading.Event(), threading.Event()

    def occupy() -> None:
        entered.set()
        leave.wait(60)

    assert site.loop is not None
    busy = site.loop.start(sync_to_async(occupy, thread_sensitive=True)())
    entered.wait(60)
    try:
        in_time(site.request().load())
    finally:
        leave.set()
        busy.result(60)
