"""A clock that stands still until a test moves it.

Give it to `StoreOptions(clock=...)` of a store that judges deadlines by the application's clock.
Nothing here reads the real time after construction.
"""

from __future__ import annotations

import threading
import time


class Clock:
    """Epoch seconds, settable; safe to share between threads.

    Args:
        start: epoch seconds it shows first; default: the real time at construction, so that an
            engine which also looks at the real time (for its own removal of old keys) agrees.

    Attributes:
        restless: give way to other threads at every reading, so that a store which decides by the
            time without holding its lock is found out.
    """

    def __init__(self, start: float | None = None) -> None:
        self.restless = False
        self._lock = threading.Lock()
        self._now = round(time.time() if start is None else start, 6)

    def __call__(self) -> float:
        if self.restless:
            time.sleep(1e-6)
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> float:
        """Move by `seconds`, backwards if negative; answers the new time."""
        with self._lock:
            self._now = round(self._now + seconds, 6)
            return self._now

    def set(self, now: float) -> None:
        """Show `now` (epoch seconds), earlier than before or later."""
        with self._lock:
            self._now = round(now, 6)

    def __repr__(self) -> str:
        return f"Clock({self()!r})"
