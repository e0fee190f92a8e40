"""What a row of the SQL store says: a record, a tombstone, nothing, or nothing that can be read.

SQLite lets anybody put text where a number belongs; such a row is no record of ours. No statements
and no verbs here.
"""

from __future__ import annotations

import math
from typing import Any, get_args, get_type_hints

from ..core.contract import Ended, Live, Loaded, Missing
from ..core.record import EndReason, Record
from .sql_statements import RECORD

# Not every engine keeps an infinite number; no sum of this one overflows.
FOREVER = 1e300
# Columns of a record, in order; what else a statement answers comes behind them.
WIDTH = len(RECORD)

_IDLE, _ABSOLUTE = RECORD.index("idle_timeout"), RECORD.index("absolute_timeout")
_NUMBER = frozenset({float, int})
_TEXT_OR_NONE = frozenset({str, type(None)})


def _kinds() -> list[frozenset[type]]:
    hints = get_type_hints(Record)
    kinds = [frozenset(get_args(hints[name]) or [hints[name]]) for name in RECORD]
    return [kind | _NUMBER if float in kind else kind for kind in kinds]


_KINDS = _kinds()


class Unreadable(ValueError):
    """A column holds what does not belong there; says which, not what."""


def record_of(row: Any) -> Record:
    """The record of a row that is no tombstone.

    Raises:
        Unreadable: a column is of a wrong type.
    """
    values = list(row[:WIDTH])
    for position, kinds in enumerate(_KINDS):
        if type(values[position]) not in kinds:
            raise Unreadable(f"its {RECORD[position]} is no such thing")
    for position in (_IDLE, _ABSOLUTE):
        if values[position] >= FOREVER:
            values[position] = math.inf
    return Record(*values)


def live(row: Any) -> Live | Missing:
    """A changed row's record, as it is answered by the change."""
    try:
        return Live(record_of(row), row[WIDTH])
    except Unreadable as error:
        return Missing(row[WIDTH], str(error))


def judge(row: Any, not_after: float = math.inf) -> Loaded:
    """The one place that tells a live record from one that is over."""
    try:
        return _judged(row, not_after)
    except Unreadable as error:
        return Missing(row.now, str(error))


def _judged(row: Any, not_after: float) -> Loaded:
    now = row.now
    if row.id is None:
        return Missing(now)
    if row.ended_at is not None:
        texts = {type(row.id), type(row.user_id), type(row.successor)}
        if not are_numbers(row.ended_at) or not texts <= _TEXT_OR_NONE:
            raise Unreadable("it is a damaged tombstone")
        reason = _reason(row.end_reason)
        return Ended(row.id, reason, row.ended_at, now, row.user_id, row.successor)
    record = record_of(row)
    if row.not_before is not None:
        if not are_numbers(row.not_before):
            raise Unreadable("its user's not-before is no number")
        if record.valid_from <= row.not_before:
            return Ended(record.id, _reason(row.user_reason), row.not_before, now, record.user_id)
    expired = record.expired(now)
    if expired is None and now >= not_after:
        expired = EndReason.ABSOLUTE
    if expired is None:
        return Live(record, now)
    return Ended(record.id, expired, min(record.deadline, not_after), now, record.user_id)


def are_numbers(*values: object) -> bool:
    return all(type(value) in _NUMBER for value in values)


def earlier_writes(row: Any) -> list[str]:
    """The ids of the writes before the last one, the latest first."""
    return row.earlier_writes.split() if type(row.earlier_writes) is str else []


def _reason(stored: Any) -> EndReason:
    try:
        return EndReason(stored)
    except ValueError:  # written by a newer release
        return EndReason.GONE
