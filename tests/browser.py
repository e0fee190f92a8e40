"""The browser some tests look through: Debian's Chromium, where it is and how it is started."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.servers import Servers, in_ci

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAME, PACKAGE = "Chromium", "chromium"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

OPTIONS = ("--no-sandbox", "--disable-dev-shm-usage")
"""What it needs where the tests run as root, and in a small container."""


def find_chromium() -> str | None:
    """Return the program's path, or None where there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def required(servers: Servers) -> str:
    """The program's path; without one the test is skipped, and fails where `CI=true`."""
    program = find_chromium()
    if program is None:
        servers.missing.add(NAME)
        reason = f"{NAME} not found: install {PACKAGE}"
        if in_ci():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return program


@contextmanager
def chromium(servers: Servers, *options: str) -> Iterator[Browser]:
    """A running browser, as `required`. All its tabs are visible, see `tests.heartbeat.devtools`.

    Playwright keeps an event loop running in this thread meanwhile: no test can run one of its own.
    """
    from playwright.sync_api import sync_playwright

    program = required(servers)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*OPTIONS, *options])
        yield browser
        browser.close()
