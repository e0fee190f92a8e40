"""Values that exactly one caller gets, and a fresh look at the store in mid-request.

Both run at once, unlike everything else the application asks of a session.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from . import events as ev
from .contest import Contest
from .contract import Conflict, Live, Saved
from .exchange import Exchange
from .making import sealed, write_id
from .record import Record
from .steps import Steps


def take(x: Exchange, key: str, default: Any, contest: Contest) -> Steps[Any]:
    """Remove `key` from the stored session and return its value, to exactly one caller.

    A value this request has set itself and not saved yet is simply removed. `default` when the
    key is not there, was taken by somebody else, or the session ended.
    """
    state = x.access()
    data = state.data
    record = state.record
    if record is None or state.detached:
        if key not in data.data:
            return default
        value = data.data[key]
        data.delete(key)
        return value
    if data.holds_own(key) or (key in data.data and key not in data.base()):
        if key not in data.data:
            return default
        value = data.data[key]
        data.delete(key)
        return value
    while True:
        stored = _content(x, record)
        if key not in stored:
            refresh(x, record)
            return default
        value = stored.pop(key)
        mark = write_id(x)
        taken = sealed(x, record, stored)
        result = yield from x.trip(
            "save", taken, write_id=mark, active=False, not_after=x.rules.write_until(record)
        )
        if isinstance(result, Saved):
            refresh(x, replace(taken, version=result.version, write_id=mark))
            return value
        if not isinstance(result, Conflict):
            x.withhold()
            data.data.pop(key, None)
            return default
        record = result.record
        yield from contest.lost(record)


def reload(x: Exchange) -> Steps[None]:
    """Bring in what other requests stored meanwhile; changes of this one stay on top."""
    state = x.access()
    if state.record is None or state.detached or state.draft is not None:
        return
    found = yield from x.trip("load", state.record.id)
    if not isinstance(found, Live):
        x.withhold()
    elif x.genuine(found.record):
        refresh(x, found.record)


def refresh(x: Exchange, record: Record) -> bool:
    """Stand on a newer version of the record, with this request's changes on top of it; False if
    it cannot be read."""
    state = x.state
    read = x.reader(record)
    if read is None:
        return False
    paths: list[str] = []
    state.data.advance(lambda: read()[0], paths.append)
    if paths:
        x.emit(ev.Collided(session_id=record.id, user_id=record.user_id, paths=tuple(paths)))
    state.meta = read()[1]
    state.record = record
    return True


def _content(x: Exchange, record: Record) -> dict[str, Any]:
    read = x.reader(record)
    return {} if read is None else read()[0]
