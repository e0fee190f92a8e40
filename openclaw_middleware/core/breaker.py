"""Stop asking a store that does not answer, and notice when it does again.

After several failures in a row calls are refused at once, but for one probe per pause: requests
do not queue up behind a timeout, and recovery needs no restart. One breaker per store and colour;
times are handed in.
"""

from __future__ import annotations

from ..errors import StoreUnavailable

BREAK_AFTER = 3
PAUSE = 1.0


class Breaker:
    """Counts failures in a row; open from the third on."""

    __slots__ = ("failures", "retry_at")

    def __init__(self) -> None:
        self.failures = 0
        self.retry_at = 0.0

    def check(self, verb: str, now: float) -> None:
        """Let the call through, or refuse it.

        Args:
            now: seconds of a monotonic clock.

        Raises:
            StoreUnavailable: the store failed lately, and this call is not the probe.
        """
        if self.failures < BREAK_AFTER:
            return
        if now < self.retry_at:
            raise StoreUnavailable(
                f"the store failed {self.failures} times in a row and is not asked again for "
                f"{self.retry_at - now:.1f} s",
                operation=verb,
            )
        # The caller is the probe; whoever comes before the next pause is over is not.
        self.retry_at = now + PAUSE

    def failed(self, now: float) -> None:
        """The store did not answer."""
        self.failures += 1
        self.retry_at = now + PAUSE

    def answered(self) -> None:
        """The store answered: everybody may ask again."""
        self.failures = 0
