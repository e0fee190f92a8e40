"""Stop asking a store that does not answer, and notice when it does again.

After several failures in a row calls are refused at once, but for one probe per pause: requests
do not queue up behind a timeout, and recovery needs no restart. One breaker per store and colour;
times are handed in.

A store may refuse to save and still let people read and log out (full, read-only, its disk stuck),
so failures are counted by what was asked. Only when reading fails is nothing asked any more.
"""

from __future__ import annotations

from ..errors import StoreUnavailable

BREAK_AFTER = 3
PAUSE = 1.0

_READ = "read"
_READS = frozenset({"load", "now", "sessions_of", "stats"})


class Breaker:
    """Counts failures in a row; open from the third on."""

    __slots__ = ("_failures", "_retry_at")

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}
        self._retry_at: dict[str, float] = {}

    def check(self, verb: str, now: float, lasts: float = 0.0) -> None:
        """Let the call through, or refuse it.

        Args:
            now: seconds of a monotonic clock.
            lasts: seconds the call may take; no other probe is let through meanwhile.

        Raises:
            StoreUnavailable: the store failed lately, and this call is not the probe.
        """
        if not self._failures:
            return
        broken = [kind for kind in {_READ, _kind(verb)} if self.open(kind)]
        for kind in broken:
            retry_at = self._retry_at[kind]
            if now < retry_at:
                raise StoreUnavailable(
                    f"the store failed {BREAK_AFTER} times in a row or more, and is not asked "
                    f"again for {retry_at - now:.1f} s",
                    operation=verb,
                )
        # The caller is the probe; whoever comes before it is back, or the next pause over, is not.
        for kind in broken:
            self._retry_at[kind] = now + max(PAUSE, lasts)

    def failed(self, verb: str, now: float) -> int:
        """The store did not answer, or refused; how many times in a row it has, now."""
        kind = _kind(verb)
        # The time first: a count without one would be met by a call of another thread.
        self._retry_at[kind] = now + PAUSE
        count = self._failures[kind] = self._failures.get(kind, 0) + 1
        return count

    def answered(self, verb: str) -> bool:
        """The store answered: everybody may ask the same again, or anything if none could read.

        Returns:
            Whether calls had been refused.
        """
        if not self._failures:
            return False
        if self.open(_READ):
            self._failures.clear()
            return True
        kind = _kind(verb)
        was_open = self.open(kind)
        self._failures.pop(kind, None)
        return was_open

    def open(self, kind: str) -> bool:
        """Whether calls of a kind are refused, but for probes."""
        return self._failures.get(kind, 0) >= BREAK_AFTER

    def reset(self) -> None:
        """Forget all failures."""
        self._failures.clear()


def _kind(verb: str) -> str:
    return _READ if verb in _READS else verb
