"""Areas: paths below which a signed-in session must be within the limits of a stricter policy.

What an area asks is judged from the record as it was loaded, by the store's clock; nothing is
written and the session goes on elsewhere. What may still be done with a session that falls short
is said where sessions are used, not here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from .record import EndReason, Record

if TYPE_CHECKING:
    from .policy import Policy, Rules

_SLASHES = re.compile("//+")


class Lapse(NamedTuple):
    """How a session falls short of its area.

    Attributes:
        reason: IDLE, or ABSOLUTE where the sign-in is too old.
        limit: seconds the area allows.
        authenticated_at: the sign-in that was judged; a later one is not concerned.
        veiled: the visitor is shown as signed out, instead of an error being raised.
    """

    reason: EndReason
    limit: float
    authenticated_at: float
    veiled: bool = False


class AreaLimits(NamedTuple):
    """When a session is over as seen from a path: by its own limits, or the area's if shorter. Once
    the area asks, its limits are behind, and the session's own are what is ahead.

    Attributes:
        idle, absolute: seconds.
        idle_deadline, absolute_deadline: epoch seconds.
        stale: which limit of the area was passed; None where the path asks for no fresh sign-in.
    """

    idle: float
    absolute: float
    idle_deadline: float
    absolute_deadline: float
    stale: EndReason | None


class Areas:
    """Path prefixes and what is asked below them; the longest prefix wins.

    A prefix ends at a slash or at the end of the path, and paths are compared as they are, like
    those of routes, and with several slashes taken for one; either may match.

    Args:
        policies: by prefix; None where nothing more is asked than elsewhere.

    Attributes:
        shortest_idle: seconds; infinite where no area is stricter than the session.
    """

    __slots__ = ("_longest_first", "shortest_idle")

    def __init__(self, policies: Mapping[str, Policy | None]) -> None:
        below = {f"{prefix.rstrip('/')}/": policy for prefix, policy in policies.items()}
        self._longest_first = sorted(below.items(), key=lambda item: -len(item[0]))
        self.shortest_idle = min(
            (policy.idle for policy in below.values() if policy is not None), default=float("inf")
        )

    def __bool__(self) -> bool:
        return bool(self._longest_first)

    def of(self, path: str) -> Policy | None:
        """The policy of the area a path lies in, None outside of all."""
        # There are routers that take several slashes for one, and others that do not.
        spellings = {f"{path}/", _SLASHES.sub("/", f"{path}/")} if "//" in path else {f"{path}/"}
        for prefix, policy in self._longest_first:
            if any(each.startswith(prefix) for each in spellings):
                return policy
        return None


def lapse_of(area: Policy, record: Record, now: float, *, veiled: bool = False) -> Lapse | None:
    """How a record falls short of an area at `now`, the store's time; None when it does not, and
    for anonymous visitors, whom the application's own check of the sign-in concerns."""
    signed_in = record.authenticated_at
    if signed_in is None:
        return None
    if now >= signed_in + area.absolute:
        return Lapse(EndReason.ABSOLUTE, area.absolute, signed_in, veiled)
    if now >= record.last_active_at + area.idle:
        return Lapse(EndReason.IDLE, area.idle, signed_in, veiled)
    return None


def area_limits(rules: Rules, path: str | None, record: Record, now: float) -> AreaLimits:
    """The deadlines of a live record for somebody on the page `path`.

    Args:
        path: from the root of the site, without a query; None for no page in particular.
        now: epoch seconds, the store's clock.
    """
    idle, absolute, _ = rules.limits_of(record)
    lapse = None
    area = None if path is None else rules.areas.of(path)
    if area is not None and record.authenticated_at is not None:
        lapse = lapse_of(area, record, now)
        if lapse is None:
            idle, absolute = min(idle, area.idle), min(absolute, area.absolute)
    return AreaLimits(
        idle,
        absolute,
        record.last_active_at + idle,
        record.started + absolute,
        None if lapse is None else lapse.reason,
    )
