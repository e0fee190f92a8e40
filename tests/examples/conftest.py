"""A real browser for the tests of the examples. Fixture: `chromium`, a Playwright browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests import browser
from tests.servers import Servers


# Not longer than a class: meanwhile no test can run an event loop of its own.
@pytest.fixture(scope="class")
def chromium(servers: Servers) -> Iterator[Browser]:
    """Without a browser the test is skipped, and fails where `CI=true`."""
    with browser.chromium(servers) as started:
        yield started
