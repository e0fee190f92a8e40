"""The browser some tests look through: Debian's Chromium, where it is and how it is started."""

from __future__ import annotations

import shutil

NAME, PACKAGE = "Chromium", "chromium"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

OPTIONS = ("--no-sandbox", "--disable-dev-shm-usage")
"""What it needs where the tests run as root, and in a small container."""


def find_chromium() -> str | None:
    """Return the program's path, or None where there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)
