"""Places and sites for the tests in this folder, and the table of their trials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.fresh import empty_database
from tests.fresh import namespace as new_namespace
from tests.servers import Servers
from tests.summary import summary_of

from .ledger import Ledger
from .places import KINDS, STORES, Place, Sites


@pytest.fixture(scope="session")
def ledger(pytestconfig: pytest.Config) -> Ledger:
    return summary_of(pytestconfig).ledger


@pytest.fixture(scope="session")
def places(request: pytest.FixtureRequest, servers: Servers) -> Iterator[dict[str, Place]]:
    """Filled on demand by `place`; each has a database of its own until the end of the run."""
    with ExitStack() as stack:
        known: dict[str, Place] = {}
        request.session.stash[_OPEN] = (stack, known)
        yield known


_OPEN = pytest.StashKey[tuple[ExitStack, dict[str, Place]]]()


@pytest.fixture
def place(
    request: pytest.FixtureRequest,
    places: dict[str, Place],
    tmp_path_factory: pytest.TempPathFactory,
) -> Place:
    """The store named by the test's parameter."""
    name = request.param
    if name not in places:
        stack, _ = request.session.stash[_OPEN]
        if name == "memory":
            url = "memory://"
        elif name == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('fire')}/sessions.db"
        else:
            url = stack.enter_context(empty_database(request.getfixturevalue(f"{name}_url")))
        places[name] = Place(name, url, new_namespace())
        places[name].create_tables()
    return places[name]


@pytest.fixture
def sites() -> Iterator[Sites]:
    made = Sites()
    yield made
    made.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`place` and `kind` stand for every store and every framework, unless a test says less."""
    marked = {mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")}
    if "place" in metafunc.fixturenames and "place" not in marked:
        metafunc.parametrize("place", STORES, indirect=True)
    if "kind" in metafunc.fixturenames and "kind" not in marked:
        metafunc.parametrize("kind", KINDS)
