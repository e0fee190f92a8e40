"""From when a user's session counts, and which moment ends them all: one clock per user that never
goes back, though the store's clock may be put back.

Pure arithmetic for the stores that judge in Python; `redis_scripts` has it in Lua. `latest` is the
latest moment that a session of the user was admitted to count from.
"""

from __future__ import annotations

# The smallest step of a user's clock.
TICK = 1e-6
# A not-before further ahead than this (seconds) was set before the clock was put back. No sign-in
# takes so long that it could have been checked before that.
PUT_BACK = 900.0


def counts_from(valid_from: float, not_before: float, now: float) -> float | None:
    """The moment a new session counts from; None: it is superseded by the not-before.

    Nobody can have proved who they are later than now. Who did so after the clock was put back is
    not locked out until it has caught up.
    """
    if valid_from > not_before:
        return min(valid_from, max(now, round(not_before + TICK, 6)))
    if valid_from <= now and not_before > now + PUT_BACK:
        return round(not_before + TICK, 6)
    return None


def next_not_before(now: float, not_before: float, latest: float) -> float:
    """The moment that ends all sessions there are: none counts from a later one."""
    if not_before >= now:
        # At the same moment as the last one: still above a session that one has spared.
        now = round(not_before + TICK, 6)
    return max(now, latest)
