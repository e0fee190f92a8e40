"""Come to terms with a write whose answer was lost, before anything else is written.

Either it is sent again, or, when the request has failed, it is given up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..errors import LoginRefused, SessionEnded, StoreConflict, StoreError
from . import events as ev
from .contest import refresh
from .exchange import Exchange
from .saving import Saving
from .state import State
from .steps import Steps
from .unanswered import Unanswered

# Seconds. Stores know a repeated write for 30 s; the time its two calls take is within the rest.
KNOWN_FOR = 25.0


def settle(x: Exchange, pause: Callable[[float], Any]) -> Steps[None]:
    """Send an unanswered write again; what was done since stays on top of it, unwritten.

    Raises:
        StoreUnavailable, StoreConflict: it is still not known what became of it.
        StoreConflict: a save so long ago that it might be written twice is given up, as well; what
            was done since stays, unwritten. Where somebody logged out since, that goes on.
        LoginRefused, SessionEnded: it did not take place.
    """
    state = x.state
    lost = state.unanswered
    if lost is None:
        return
    if lost.draft is None and x.desk.monotonic() - lost.since > KNOWN_FOR:
        _too_late(x, state, lost)
        return
    x.resent = lost.state
    try:
        yield from Saving(x, pause, lost.state.data.changed()).again(lost)
    except StoreError:
        still = lost.state.unanswered or lost
        if still.sent.write_id == lost.sent.write_id:
            # The store remembers it from the first time on.
            still = replace(still, since=lost.since)
        state.unanswered = still
        raise
    except LoginRefused:
        _go_back(x, lost)
        raise
    except SessionEnded:
        _go_on(x, lost)
        raise
    finally:
        x.resent = None
    _go_on(x, lost)


def _too_late(x: Exchange, state: State, lost: Unanswered) -> None:
    # As if it had not been stored: if it was, the next write conflicts and is merged.
    _go_on(x, lost)
    x.emit(
        ev.ChangesDropped(
            session_id=lost.sent.id,
            user_id=lost.sent.user_id,
            cause="the store's answer was lost too long ago",
            keys=tuple(lost.state.data.changed()),
        )
    )
    if state.ending is None:
        raise StoreConflict(
            f"a save of session {lost.sent.id} was left without an answer more than "
            f"{KNOWN_FOR:g} s ago; it is not sent again, as it might be written twice",
            operation="save",
        )


def _go_on(x: Exchange, lost: Unanswered) -> None:
    """With the state at hand, on whatever the earlier one came to stand on."""
    x.resent = None
    record, state = lost.state.record, x.state
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
    state.lose_record(keep_data=False)


def _go_back(x: Exchange, lost: Unanswered) -> None:
    """To before the write; what was to end since then still ends."""
    since, before = x.state, lost.state
    before.ending = before.ending or since.ending
    before.users, before.end_others = since.users, since.end_others
    if since.draft is not None and since.draft.login:
        before.draft = since.draft
    x.state = before


def give_up(x: Exchange) -> Steps[None]:
    """The request failed: go back to before the unanswered write. Where somebody logged out, the
    identity it may have made is ended as well."""
    state = x.state
    lost = state.unanswered
    if lost is None:
        return
    _go_back(x, lost)
    if lost.draft is not None and lost.state.ending is not None:
        yield from x.trip("end", lost.sent.id, lost.state.ending)
