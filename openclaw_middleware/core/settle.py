"""Come to terms with a write whose answer was lost, before anything else is written.

Either it is sent again, or, when the request has failed, it is given up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import LoginRefused, SessionEnded, StoreError
from . import events as ev
from .contest import refresh
from .exchange import Exchange
from .saving import Saving
from .state import State
from .steps import Steps


def settle(x: Exchange, pause: Callable[[float], Any]) -> Steps[None]:
    """Send an unanswered write again; what was done since stays on top of it, unwritten.

    Raises:
        StoreUnavailable, StoreConflict: it is still not known what became of it.
        LoginRefused, SessionEnded: it did not take place.
    """
    state = x.state
    lost = state.unanswered
    if lost is None:
        return
    x.state = lost.state
    try:
        yield from Saving(x, pause, lost.state.data.changed()).again(lost)
    except StoreError:
        state.unanswered = x.state.unanswered or lost
        x.state = state
        raise
    except LoginRefused:
        # As it was before the sign-in, but a logout since then still holds.
        lost.state.ending = lost.state.ending or state.ending
        raise
    except SessionEnded:
        _go_on(x, state)
        raise
    _go_on(x, state)


def _go_on(x: Exchange, state: State) -> None:
    """With the later state, on whatever the earlier one came to stand on."""
    record = x.state.record
    x.state = state
    state.unanswered = None
    if state.detached:
        # Its data are not that record's: they do not come to stand on it.
        state.record, state.detached = record, record is not None
        return
    if record is not None and refresh(x, record):
        return
    if state.decoded and state.data.changed():
        x.emit(
            ev.ChangesDropped(
                session_id=state.record.id if state.record else None,
                user_id=state.record.user_id if state.record else None,
                cause="the session ended meanwhile",
                keys=tuple(state.data.changed()),
            )
        )
    state.become_anonymous()


def give_up(x: Exchange) -> Steps[None]:
    """The request failed: go back to before the unanswered write. Where somebody logged out, the
    identity it may have made is ended as well."""
    state = x.state
    lost = state.unanswered
    if lost is None:
        return
    lost.state.ending = lost.state.ending or state.ending
    x.state = lost.state
    if lost.draft is not None and lost.state.ending is not None:
        yield from x.trip("end", lost.sent.id, lost.state.ending)
