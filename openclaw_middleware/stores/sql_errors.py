"""What an engine's error means, read from its own codes; messages only where there are none."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

_DEADLOCK_STATES = frozenset({"40001", "40P01"})
# 1020: the row changed since the snapshot; MariaDB with innodb_snapshot_isolation.
_DEADLOCK_CODES = frozenset({1213, 1020})
_MISSING_STATES = frozenset({"42P01", "3F000"})
_MISSING_CODES = frozenset({1146})


def is_deadlock(error: BaseException) -> bool:
    """The engine undid our transaction in favour of another: doing it again is right."""
    return _state(error) in _DEADLOCK_STATES or _code(error) in _DEADLOCK_CODES


def is_missing_table(error: BaseException) -> bool:
    cause = _cause(error)
    return (
        _state(error) in _MISSING_STATES
        or _code(error) in _MISSING_CODES
        or (cause is not None and str(cause).startswith("no such table"))
    )


def is_timeout(error: BaseException) -> bool:
    """Nobody answered in time; a second try would only double the wait."""
    seen: BaseException | None = _cause(error)
    while seen is not None:
        if isinstance(seen, TimeoutError) or "timed out" in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _cause(error: BaseException) -> BaseException | None:
    """The driver's own error; asyncio drivers' errors are wrapped once more."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    return getattr(cause, "driver_exception", None) or cause


def _state(error: BaseException) -> str | None:
    return getattr(_cause(error), "sqlstate", None)


def _code(error: BaseException) -> object:
    cause = _cause(error)
    return cause.args[0] if cause is not None and cause.args else None
