"""What Flask-Login's own long-lived cookie is worth where a fresh sign-in is asked for: nothing.

It signs people in without a password. Such a sign-in carries a claim that says so; what Flask-Login
asks of a session to keep its cookie is known here, too, and nothing else of it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from ..core.areas import Lapse
from ..core.record import EndReason
from ..core.state import State
from ..session import Session

CLAIM = "remembered"
"""Among `session.info.claims` where the cookie signed somebody in."""

REMEMBER = "_remember"
"""The key by which Flask-Login keeps what is to become of its cookie; "clear": nobody is signed in
by it."""


class Remembered(Session):
    """A session that tells a remembered sign-in from a fresh one."""

    def note_remembered(self) -> None:
        """The sign-in of this request was made by the cookie."""
        state = self._state()
        if state.draft is not None and state.draft.login:
            state.draft = replace(state.draft, claims={CLAIM: True})

    def require_recent(self, max_age: float | timedelta) -> None:
        """As `Session.require_recent`; a sign-in by Flask-Login's own cookie is not enough."""
        super().require_recent(max_age)
        if _by_cookie(self._state()):
            seconds = max_age.total_seconds() if isinstance(max_age, timedelta) else max_age
            raise self._demand(seconds)

    def _load_now(self) -> None:
        super()._load_now()
        request, state = self._x.request, self._x.state
        signed_in = None if state.record is None else state.record.authenticated_at
        if request.area is None or signed_in is None or state.judged is not None:
            return
        if _by_cookie(state):
            limit = request.area.absolute
            state.judged = Lapse(EndReason.ABSOLUTE, limit, signed_in, request.veiled)

    def __contains__(self, key: object) -> bool:
        # Asked for after each request, also of pages that leave the session alone.
        if key == REMEMBER and self._loaded().lapse is not None:
            return False
        return super().__contains__(key)

    def __getitem__(self, key: str) -> Any:
        if key == REMEMBER and self._x.request.area is not None and key not in self:
            return "clear"
        return super().__getitem__(key)


def _by_cookie(state: State) -> bool:
    draft = state.draft
    if draft is not None and draft.login:
        claims = draft.claims
    else:
        _ = state.data
        claims = state.meta.get("claims")
    return bool(claims and claims.get(CLAIM))
