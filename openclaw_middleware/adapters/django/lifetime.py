"""Django's expiry calls, in terms of our two clocks.

As in Django the wish is kept among the data (`_session_expiry`), so that it can be read and
survives a new key; what enforces it are the limits of the record, set by the commit.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from ...core.policy import CUSTOM, CUSTOM_PERSISTENT

if TYPE_CHECKING:
    from ...core.exchange import Exchange
    from ...core.policy import Policy
    from ...core.state import State

EXPIRY_KEY = "_session_expiry"
Expiry = int | datetime | timedelta | None

_log = logging.getLogger(__name__)


class Lifetime:
    """`set_expiry` and what can be asked of it."""

    if TYPE_CHECKING:
        _x: Exchange

        def _writable(self) -> State: ...
        def __setitem__(self, key: str, value: Any) -> None: ...
        def pop(self, key: str, default: Any = None) -> Any: ...
        def get(self, key: str, default: Any = None) -> Any: ...

    def set_expiry(self, value: Expiry) -> None:
        """Give this session limits of its own, never longer than the site's absolute limit.

        Args:
            value: seconds of inactivity; 0 for the site's limits and a cookie that ends with the
                browser; a `timedelta` or `datetime` for a fixed end; None for the site's limits.
        """
        state = self._writable()
        if value is None:
            if self.pop(EXPIRY_KEY, None) is not None:
                state.policy = "default"
            return
        if isinstance(value, timedelta):
            value = self._now() + value
        stored = value.isoformat() if isinstance(value, datetime) else value
        self[EXPIRY_KEY] = stored
        self._limit(stored)

    def carry_expiry(self, *, replaced: bool) -> None:
        """After a sign-in, whose record has limits of its own: ask again, or forget the wish."""
        if replaced:
            self.pop(EXPIRY_KEY, None)
        elif (stored := self.get(EXPIRY_KEY)) is not None:
            self._limit(stored)

    def _limit(self, stored: int | str) -> None:
        """Let the commit set the limits `_session_expiry` asks for."""
        state = self._writable()
        default = self._default_policy()
        seconds = (
            float(stored)
            if not isinstance(stored, str)
            else (_moment(stored) - self._now()).total_seconds()
        )
        if stored == 0:
            state.policy, state.custom_idle = CUSTOM, default.idle
            return
        if seconds > default.absolute:
            _log.warning(
                "set_expiry(%s) asks for more than the absolute limit of %g s, at which the "
                "session ends: raise SESSION_COOKIE_AGE or OPENCLAW['ABSOLUTE_TIMEOUT_HOURS']",
                stored,
                default.absolute,
            )
        state.policy = CUSTOM_PERSISTENT
        # What is over already cannot be stored as such; it ends before anybody can use it.
        state.custom_idle = max(seconds, 0.001)
        state.custom_absolute = state.custom_idle if isinstance(stored, str) else None

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._x.desk.wall(), UTC)

    def _default_policy(self) -> Policy:
        return self._x.rules.policies["default"]

    def get_session_cookie_age(self) -> int:
        """Seconds of inactivity the site allows a session without limits of its own."""
        return int(self._default_policy().idle)

    def get_expiry_age(self, **kwargs: Any) -> int:
        """Seconds until the session expires, counted from its last use.

        Args:
            modification: `datetime` to count from, now if not given.
            expiry: as for `set_expiry`, instead of this session's own.
        """
        moment: datetime = kwargs.get("modification") or self._now()
        expiry = _read(kwargs["expiry"] if "expiry" in kwargs else self.get(EXPIRY_KEY))
        if isinstance(expiry, datetime):
            delta = expiry - (timezone.make_aware(moment) if timezone.is_naive(moment) else moment)
            return delta.days * 86400 + delta.seconds
        return int(expiry or self.get_session_cookie_age())

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        """The moment at which the session expires; arguments as for `get_expiry_age`."""
        moment: datetime = kwargs.get("modification") or self._now()
        expiry = _read(kwargs["expiry"] if "expiry" in kwargs else self.get(EXPIRY_KEY))
        if isinstance(expiry, datetime):
            return expiry
        return moment + timedelta(seconds=expiry or self.get_session_cookie_age())

    def get_expire_at_browser_close(self) -> bool:
        """Whether the cookie ends with the browser."""
        expiry = self.get(EXPIRY_KEY)
        if expiry is None:
            return not self._default_policy().persistent
        return bool(expiry == 0)


def _read(expiry: Any) -> int | datetime | None:
    if isinstance(expiry, str):
        return _moment(expiry)
    return expiry  # type: ignore[no-any-return]  # what set_expiry stored


def _moment(stored: str) -> datetime:
    moment = datetime.fromisoformat(stored)
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment
