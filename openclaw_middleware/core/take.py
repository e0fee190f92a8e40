"""Values that exactly one caller gets, and a fresh look at the store in mid-request.

Both run at once, unlike everything else the application asks of a session.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..errors import StoreUnavailable
from .contest import Contest, refresh
from .contract import Conflict, Live, Saved
from .exchange import Exchange
from .making import sealed, write_id
from .record import Record
from .settle import settle
from .steps import Steps


def take(x: Exchange, key: str, default: Any, contest: Contest) -> Steps[Any]:
    """Remove `key` from the stored session and return its value, to exactly one caller.

    A value this request has set itself and not saved yet is simply removed; what it did to a
    stored one comes along. `default` when the key is not there, was taken by somebody else, or the
    session ended.
    """
    x.access()
    yield from settle(x, contest.pause)
    state = x.state
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
    again = state.taking.pop(key, None)
    while True:
        if again is not None and again[1].id == record.id:
            # Its answer was lost: the store knows it by its write id.
            value, taken = again
            again = None
        else:
            stored = _content(x, record)
            if key not in stored:
                refresh(x, record)
                return default
            value = data.with_mine(key, stored.pop(key))
            taken = replace(sealed(x, record, stored), write_id=write_id(x))
        try:
            result = yield from x.trip(
                "save",
                taken,
                write_id=taken.write_id,
                active=False,
                not_after=x.rules.write_until(record),
            )
        except StoreUnavailable:
            state.taking[key] = value, taken
            raise
        if isinstance(result, Saved):
            data.forget(key)
            if result.version > record.version:
                refresh(x, replace(taken, version=result.version))
            else:
                # It took place before what this request knows by now.
                refresh(x, record)
            return value
        if not isinstance(result, Conflict):
            x.withhold()
            data.data.pop(key, None)
            return default
        record = result.record
        yield from contest.lost(record)


def reload(x: Exchange, pause: Callable[[float], Any]) -> Steps[None]:
    """Bring in what other requests stored meanwhile; changes of this one stay on top."""
    x.access()
    yield from settle(x, pause)
    state = x.state
    if state.record is None or state.detached or state.draft is not None:
        return
    found = yield from x.trip("load", state.record.id)
    if not isinstance(found, Live):
        x.withhold()
    elif x.genuine(found.record):
        refresh(x, found.record)


def _content(x: Exchange, record: Record) -> dict[str, Any]:
    read = x.reader(record)
    return {} if read is None else read()[0]
