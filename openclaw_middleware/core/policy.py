"""Lifetime policies and the frozen rules of one deployment, as the core needs them.

Settings are validated elsewhere and arrive here ready; all durations are seconds. Arithmetic on
deadlines is in `record`; nothing here reads a clock or a store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Literal, NamedTuple

from ..errors import ConfigurationError
from .areas import Areas
from .contract import Limit
from .record import EndReason, Record

CUSTOM = "custom"
CUSTOM_PERSISTENT = "custom:persistent"


def _seconds(value: timedelta | float, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | timedelta):
        raise ConfigurationError(f"{name} must be seconds or a timedelta, not {value!r}")
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if not 0 < seconds < 1e10:
        raise ConfigurationError(f"{name} must be positive and finite, not {value!r}")
    return seconds


@dataclass(frozen=True, slots=True)
class Policy:
    """How long a session may live.

    Attributes:
        idle_timeout: seconds (or timedelta) without activity after which the session ends.
            None: only the absolute limit counts.
        absolute_timeout: seconds (or timedelta) after sign-in at which it ends in any case.
        persistent: the cookie outlives the browser (`Max-Age` up to the absolute limit); default
            False, a browser-session cookie.

    Raises:
        ConfigurationError: a limit is not positive, or idle is longer than absolute.
    """

    idle_timeout: timedelta | float | None = 1800.0
    absolute_timeout: timedelta | float = 28800.0
    persistent: bool = False

    def __post_init__(self) -> None:
        absolute = _seconds(self.absolute_timeout, "absolute_timeout")
        idle = (
            absolute if self.idle_timeout is None else _seconds(self.idle_timeout, "idle_timeout")
        )
        if idle > absolute:
            raise ConfigurationError(
                f"idle_timeout ({idle:g} s) is longer than absolute_timeout ({absolute:g} s): "
                "raise absolute_timeout, or set idle_timeout=None for no idle limit"
            )
        object.__setattr__(self, "idle_timeout", idle)
        object.__setattr__(self, "absolute_timeout", absolute)

    @property
    def idle(self) -> float:
        """Seconds; equal to `absolute` when there is no idle limit."""
        return self.idle_timeout  # type: ignore[return-value]  # a float since __post_init__

    @property
    def absolute(self) -> float:
        """Seconds."""
        return self.absolute_timeout  # type: ignore[return-value]  # a float since __post_init__


_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0

PRESETS: Mapping[str, Policy] = MappingProxyType(
    {
        "remember": Policy(14 * _DAY, 90 * _DAY, persistent=True),
        # NIST SP 800-63B-4, sections 2.1.3, 2.2.3 and 2.3.3
        "nist_aal1": Policy(None, 30 * _DAY),
        "nist_aal2": Policy(_HOUR, 24 * _HOUR),
        "nist_aal3": Policy(15 * _MINUTE, 12 * _HOUR),
    }
)


class Limits(NamedTuple):
    """The effective limits of one record, in seconds."""

    idle: float
    absolute: float
    persistent: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything the core decides by; built once from the settings.

    Attributes:
        policies: by name; always holds "default" and the presets.
        areas: paths below which a session must be within a stricter policy.
        touch_interval: seconds between two touches; None: a tenth of the record's idle limit, or
            of the shortest one an area asks for.
        rotation_interval: seconds a secret is used before a successor is offered; None: off.
        rotation_grace: seconds an old secret stays good after its successor was presented.
        on_ended: what happens to changes when another request ended the session: "drop" or
            "error" (409).
        on_store_error: "unavailable" (503), "anonymous" (read-only anonymous session) or a
            callable that is given the `StoreError` and answers one of the two.
        limit: sessions per user, None for no limit.
        store_timeout: seconds all store work of one request may take.
        commit_deadline: seconds a commit may go on trying against conflicting writers.
        identity_key: key of the mapping that is a view of `user_id`, None for no such key.
        client_info: what a new session remembers of the client: "none", "user_agent" or "full".
    """

    policies: Mapping[str, Policy] = field(default_factory=lambda: {"default": Policy(), **PRESETS})
    areas: Areas = field(default_factory=lambda: Areas({}))
    touch_interval: float | None = None
    rotation_interval: float | None = None
    rotation_grace: float = 30.0
    on_ended: Literal["drop", "error"] = "drop"
    on_store_error: object = "unavailable"
    limit: Limit | None = None
    store_timeout: float = 1.0
    commit_deadline: float = 5.0
    identity_key: str | None = None
    client_info: Literal["none", "user_agent", "full"] = "none"

    def limits_of(self, record: Record) -> Limits:
        """What a stored record lives under now: each limit the stored one or, where the
        configured one is smaller, that. A policy that is no longer configured counts as
        "default", and a session's own idle limit ("custom") stands under the default's absolute.
        """
        configured = self.policies.get(record.policy) or self.policies["default"]
        absolute = min(record.absolute_timeout, configured.absolute)
        if record.policy in (CUSTOM, CUSTOM_PERSISTENT):
            persistent = record.policy == CUSTOM_PERSISTENT
            return Limits(min(record.idle_timeout, absolute), absolute, persistent)
        idle = min(record.idle_timeout, configured.idle, absolute)
        return Limits(idle, absolute, configured.persistent)

    def not_after(self, record: Record) -> float:
        """Epoch seconds at which the record ends by the limits configured now."""
        limits = self.limits_of(record)
        return min(record.last_active_at + limits.idle, record.started + limits.absolute)

    def expired(self, record: Record, now: float) -> EndReason | None:
        """Which clock has run out at `now` by the limits configured now, or None. As the stores
        do, the absolute one is named where both have."""
        limits = self.limits_of(record)
        if now >= record.started + limits.absolute:
            return EndReason.ABSOLUTE
        return EndReason.IDLE if now >= record.last_active_at + limits.idle else None

    def write_until(self, record: Record) -> float:
        """Epoch seconds until which a write to the record is let through, given what was known
        when it was loaded.

        Others may have used the session since, so the idle limit is left to the store, which
        knows, unless a smaller one is configured now.
        """
        limits = self.limits_of(record)
        if limits.idle < min(record.idle_timeout, limits.absolute):
            return self.not_after(record)
        return record.started + limits.absolute

    def touch_every(self, record: Record) -> float:
        """Seconds between two touches of this record."""
        if self.touch_interval is not None:
            return self.touch_interval
        if record.authenticated_at is None:
            return record.idle_timeout / 10
        return min(record.idle_timeout, self.areas.shortest_idle) / 10
