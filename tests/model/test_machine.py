"""The promises hold in every order of store calls that Hypothesis and chance come up with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from openclaw_middleware.stores.base import StoreOptions
from openclaw_middleware.stores.url import open_store
from tests.fresh import namespace

from .longrun import play
from .machine import examples, explore

SERVERS = ("redis", "postgres")


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A blocking store on a real server; what a test leaves there is in nobody's way."""
    url = request.getfixturevalue(f"{request.param}_url")
    store = open_store(url, StoreOptions(namespace=namespace(), timeout=30.0), "sync")
    store.create_tables()
    yield store
    store.close()


def test_hypothesis_breaks_no_promise_in_memory() -> None:
    """Two browsers, up to five requests, every store call a step, the clock a move."""
    explore(None, 150)


def test_chance_breaks_no_promise_in_memory() -> None:
    """Many more games than Hypothesis has time for; each is its seed."""
    assert sum(play(seed) for seed in range(examples(1200))) > examples(12_000)


def test_hypothesis_breaks_no_promise_on_a_server(server: Any) -> None:
    """The same, with the server's own clock and locks."""
    explore(server, 40)


def test_chance_breaks_no_promise_on_a_server(server: Any) -> None:
    """Each game has users of its own."""
    assert sum(play(seed, store=server) for seed in range(examples(100))) > examples(800)
