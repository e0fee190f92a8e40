"""Django is configured once for the whole run; what a test needs otherwise it overrides.

`database` gives the tests Django's test database (SQLite in memory), each test in a transaction of
its own, as `django.test.TestCase` does.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import configured  # noqa: F401  # before anything of Django's

# isort: split
from django.db import transaction
from django.test.utils import (
    setup_databases,
    setup_test_environment,
    teardown_databases,
    teardown_test_environment,
)

from openclaw_middleware.adapters.django import conf
from openclaw_middleware.adapters.django.deployment import Deployment
from openclaw_middleware.testing import Clock
from tests.fresh import namespace as new_namespace


@pytest.fixture(scope="session")
def test_database() -> Iterator[None]:
    setup_test_environment()
    made = setup_databases(verbosity=0, interactive=False)
    yield
    teardown_databases(made, verbosity=0)
    teardown_test_environment()


@pytest.fixture
def database(test_database: None) -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def deployment(clock: Clock) -> Iterator[Deployment]:
    """A deployment of the test's own, on a clock that the test moves."""
    from django.test import override_settings

    with override_settings(OPENCLAW={"STORE": "memory://", "NAMESPACE": new_namespace()}):
        made = Deployment(conf.load_settings(), clock=clock)
        with conf.using(made):
            yield made
