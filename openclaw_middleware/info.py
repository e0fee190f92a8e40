"""What may be shown of a session: to its user, to an operator, to a template.

Read-only values; no token, no secret, no data of the application.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from .core.policy import Rules
from .core.record import Record

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One session, seen from outside.

    Attributes:
        id: the public id; None for a session that is not stored yet.
        created_at, authenticated_at, last_active_at: epoch seconds by the store's clock.
        idle_deadline, absolute_deadline: epoch seconds at which either clock runs out.
        now: epoch seconds by the store's clock when this was read.
        policy: name of the lifetime policy.
        client: what is remembered of the client (`client_info`), empty by default.
        claims: what `login(claims=)` was given.
        current: it is the session of the request that asked.
    """

    id: str | None = None
    user_id: str | None = None
    created_at: float | None = None
    authenticated_at: float | None = None
    last_active_at: float | None = None
    idle_deadline: float | None = None
    absolute_deadline: float | None = None
    now: float | None = None
    policy: str = "default"
    client: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)
    current: bool = False

    @property
    def idle_left(self) -> float | None:
        """Seconds until the idle clock runs out, None for a session not stored yet."""
        return _left(self.idle_deadline, self.now)

    @property
    def absolute_left(self) -> float | None:
        """Seconds until the absolute clock runs out, None for a session not stored yet."""
        return _left(self.absolute_deadline, self.now)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of the answers; give `cursor` to the next call for more, None means the end."""

    items: tuple[T, ...]
    cursor: str | None = None


def describe(
    record: Record, meta: Mapping[str, Any], now: float, rules: Rules, *, current: bool = False
) -> SessionInfo:
    """The public view of a record under the limits configured now."""
    policy = rules.limits_of(record)
    started = record.created_at if record.authenticated_at is None else record.authenticated_at
    return SessionInfo(
        id=record.id,
        user_id=record.user_id,
        created_at=record.created_at,
        authenticated_at=record.authenticated_at,
        last_active_at=record.last_active_at,
        idle_deadline=record.last_active_at + policy.idle,
        absolute_deadline=started + policy.absolute,
        now=now,
        policy=record.policy,
        client=meta.get("client") or {},
        claims=meta.get("claims") or {},
        current=current,
    )


def _left(deadline: float | None, now: float | None) -> float | None:
    return None if deadline is None or now is None else max(0.0, deadline - now)
