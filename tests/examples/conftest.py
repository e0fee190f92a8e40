"""A real browser for the tests of the examples. Fixture: `chromium`, a Playwright browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser import NAME, OPTIONS, PACKAGE, find_chromium
from tests.servers import Servers, in_ci


# Not longer than a class: Playwright keeps an event loop running in this thread, and meanwhile no
# test can run one of its own.
@pytest.fixture(scope="class")
def chromium(servers: Servers) -> Iterator[Browser]:
    """Without a browser the test is skipped, and fails where `CI=true`."""
    program = find_chromium()
    if program is None:
        servers.missing.add(NAME)
        reason = f"{NAME} not found: install {PACKAGE}"
        if in_ci():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(OPTIONS))
        yield browser
        browser.close()
