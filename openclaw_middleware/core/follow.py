"""When the record ended under a request: who its changes and its logout follow, and who not.

Changes follow to a successor of the same user only; a logout ends the successors it was overtaken
by. Nothing here ever creates a record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import SessionEnded
from . import events as ev
from .changes import Mark, TrackedData
from .contest import Contest
from .contract import Conflict, Ended, Live, Loaded, Missing, Saved
from .exchange import Exchange
from .making import sealed, write_id
from .record import EndReason, Record, tag_of
from .steps import Steps

# A chain of successors longer than this within one request does not come from people.
MAX_CHAIN = 8


def follow_with_changes(
    x: Exchange, contest: Contest, record: Record, result: Loaded, changed: Sequence[str]
) -> Steps[None]:
    """Carry the changes to a successor of the same user, or drop them as configured.

    Raises:
        SessionEnded: they were dropped and `on_ended` is "error".
    """
    for _ in range(MAX_CHAIN):
        if isinstance(result, Live):
            heir = result.record
            if heir.user_id != record.user_id or not x.genuine(heir):
                break
            if not changed or (yield from _hand_over(x, contest, heir)):
                return
            result = yield from x.trip("load", heir.id)
            continue
        heir_id = _heir(record, result)
        if heir_id is None:
            break
        result = yield from x.trip("load", heir_id)
    x.emit(
        ev.ChangesDropped(
            session_id=record.id,
            user_id=record.user_id,
            cause="the session ended meanwhile",
            keys=tuple(changed),
        )
    )
    if x.rules.on_ended == "error":
        raise SessionEnded("the session was ended by another request")


def follow_with_logout(x: Exchange, record: Record, result: Loaded) -> Steps[bool]:
    """End what replaced the record meanwhile, if it is the same user's; whether we ended it."""
    for _ in range(MAX_CHAIN):
        heir = _heir(record, result)
        if heir is None:
            return False
        result = yield from x.trip("end", heir, EndReason.SIGNED_OUT, user_id=record.user_id)
        if isinstance(result, Ended) and result.fresh:
            x.emit(
                ev.SessionFinished(
                    session_id=heir, user_id=record.user_id, reason=EndReason.SIGNED_OUT
                )
            )
            return True
    return False


def successor_for(x: Exchange, user_id: str | None, result: Loaded) -> Steps[Record | None]:
    """The living session that took the place of an ended one, if this user may have its data:
    it is the user's own, or still anonymous."""
    for _ in range(MAX_CHAIN):
        if isinstance(result, Live):
            theirs = result.record.user_id
            return result.record if theirs in (None, user_id) and x.genuine(result.record) else None
        if not isinstance(result, Ended) or result.reason is not EndReason.REPLACED:
            return None
        if result.successor is None:
            return None
        result = yield from x.trip("load", result.successor)
    return None


def _heir(record: Record, result: Loaded) -> str | None:
    """The id that took the record's place, if it lies in the same user's shard."""
    if not isinstance(result, Ended) or result.reason is not EndReason.REPLACED:
        return None
    if result.successor is None or tag_of(result.successor) != record.tag:
        return None
    return result.successor


def _hand_over(x: Exchange, contest: Contest, heir: Record) -> Steps[bool]:
    """Save our changes onto the successor, never onto what it wrote; False when it ended, too."""
    mine = contest.data or x.writing.data
    while True:
        data = contest.merged(heir, yield_to_theirs=True)
        mark = mine.mark(apart=True)
        wanted = sealed(x, heir, data)
        result: Saved | Conflict | Ended | Missing = yield from x.trip(
            "save",
            wanted,
            write_id=write_id(x),
            active=False,
            not_after=x.rules.not_after(heir),
        )
        if isinstance(result, Saved):
            # What this request does from here on are changes to what the successor has now.
            _go_on_from(x, wanted, mine, mark, data)
            return True
        if not isinstance(result, Conflict):
            return False
        heir = result.record
        yield from contest.lost(heir)


def _go_on_from(
    x: Exchange, stored: Record, mine: TrackedData, mark: Mark, data: dict[str, Any]
) -> None:
    read = x.reader(stored)
    if read is not None:
        mine.land(mark, data, lambda: read()[0], lambda path: None)
