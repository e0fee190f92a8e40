"""Fixtures for applications' own tests, found by pytest on its own.

Loaded at the start of every test run of whoever has this package installed, so no framework, no
store and none of the conformance suite may be imported here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from openclaw_middleware import SessionSettings
    from openclaw_middleware.testing import Clock


@pytest.fixture
def openclaw_clock() -> Clock:
    """A clock that stands still until the test moves it."""
    from openclaw_middleware.testing import Clock

    return Clock()


@pytest.fixture
def openclaw_settings(openclaw_clock: Clock) -> Iterator[SessionSettings]:
    """Settings with a memory store of their own, a fresh key, and `openclaw_clock` for a clock."""
    from openclaw_middleware import SessionSettings
    from openclaw_middleware.testing.clients import set_clock

    settings = SessionSettings.for_tests()
    # The application comes only later, and a runtime lives as long as somebody holds it.
    runtime = set_clock(settings, openclaw_clock)
    yield settings
    del runtime
