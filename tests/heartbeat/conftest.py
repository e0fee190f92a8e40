"""A browser whose tabs are hidden, throttled and frozen as in front of a person: `browser`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser import required
from tests.servers import Servers

from .devtools import THROTTLES, Chromium, chromium


@pytest.fixture(scope="module")
def browser(servers: Servers) -> Iterator[Chromium]:
    """An empty one."""
    with chromium(required(servers), THROTTLES) as browser:
        yield browser
