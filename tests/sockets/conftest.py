"""Stores for sockets: each a place of its own on a shared server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from openclaw_middleware import SessionManager, SessionSettings
from openclaw_middleware.runtime import Runtime
from tests.sockets.site import Site

STORES = ("memory", "redis", "postgres", "sqlite", "mariadb")
ANNOUNCING = STORES[:3]
SECRET = "tests only: q9Lm-3xZ7_Kd2sVb8Wn5Rt6yUc4pHj1"

Open = Callable[..., Site]


@pytest.fixture
def store_url(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    """The URL of the store the test is parametrized with (indirectly)."""
    if request.param == "memory":
        return "memory://"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'sessions.db'}"
    url: str = request.getfixturevalue(f"fresh_{request.param}_url")
    return url


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets are watched soon, since every test waits for that."""
    monkeypatch.setattr("openclaw_middleware.holding.GRACE", 0.05)


@pytest.fixture
def open_site() -> Iterator[Open]:
    """A function that serves an application on settings; closed after the test."""
    with ExitStack() as stack:

        def open_site(*, clock: Any = None, app: Any = None, **settings: Any) -> Site:
            settings = {"secret_key": SECRET, "store_timeout": 5.0, **settings}
            made = SessionSettings.for_tests(**settings)
            if isinstance(made.store, str):
                SessionManager(made).create_tables()
            runtime = Runtime(made, clock=clock)
            return stack.enter_context(Site(runtime, app))

        yield open_site
