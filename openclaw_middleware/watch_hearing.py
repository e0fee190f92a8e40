"""Keep listening to a store that announces the end of sessions, whatever happens to the connection.

What is heard, and what to do while nothing can be heard, is the business of `watch`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

from .core.events import logger

# Seconds between attempts to listen; doubled with each failure, up to the second. A connection that
# stood for less than that is one, too: after each everything is asked about.
FIRST_RETRY, LAST_RETRY = 0.1, 5.0


class Hearing:
    """One listener, made again when it breaks.

    Args:
        heard: as of `AsyncStore.listen`.
        deaf: called when nothing is heard any more, or could not be heard in the first place.

    Attributes:
        hears: the connection stands.
    """

    def __init__(
        self, store: Any, heard: Callable[[str | None], None], deaf: Callable[[], None]
    ) -> None:
        self._store = store
        self._heard = heard
        self._deaf = deaf
        self.hears = False

    async def run(self) -> None:
        """Listen until cancelled. That it does not work is said once, until it did."""
        told = False
        retry = FIRST_RETRY
        time = asyncio.get_running_loop().time
        try:
            while True:
                began = time()
                try:
                    await self._store.listen(self._hear)
                except Exception as error:
                    if self.hears or not told:
                        logger.warning("the end of sessions is asked for, not heard of: %s", error)
                        told = True
                if self.hears:
                    self.hears = False
                    if time() - began >= LAST_RETRY:
                        retry = FIRST_RETRY
                self._deaf()
                await asyncio.sleep(retry * (0.5 + secrets.randbelow(500) / 1000))  # spreads load
                retry = min(2 * retry, LAST_RETRY)
        finally:
            self.hears = False

    def _hear(self, name: str | None) -> None:
        if name is None:
            self.hears = True
        self._heard(name)
