"""Three-way merge of plain values: what two requests made of the same starting point.

Different keys both survive, nested dicts merge by key, list appends are replayed as appends; a
true collision is won by the later commit and reported. Knows nothing of sessions or stores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()

Same = Callable[[Any, Any], bool]
Report = Callable[[str], None]


def merge(base: Any, mine: Any, theirs: Any, *, same: Same, collided: Report, path: str) -> Any:
    """The value both changes lead to, or MISSING where it is deleted.

    Args:
        base: the value both started from; MISSING where there was none.
        mine, theirs: the values both arrived at; `theirs` was committed first.
        same: whether two values are equal in type and content.
        collided: called with the path of each true collision; `mine` wins there.
        path: where the value lies, for `collided`.
    """
    if isinstance(theirs, list) and isinstance(mine, list):
        added = additions(base, mine, same)
        if added is not None:
            return theirs + added
    if same(base, theirs) or same(mine, theirs):
        return mine
    if same(base, mine):
        return theirs
    if theirs is MISSING and _inside(base, mine):
        collided(path)
        return MISSING
    if isinstance(mine, dict) and isinstance(theirs, dict):
        start = base if isinstance(base, dict) else {}
        return _merge_dicts(start, mine, theirs, same=same, collided=collided, path=path)
    if base is MISSING and isinstance(mine, list) and isinstance(theirs, list):
        return theirs + mine
    if isinstance(mine, set) and isinstance(theirs, set):
        started: set[Any] | None = set() if base is MISSING else base if type(base) is set else None
        if started is not None:
            return (theirs | (mine - started)) - (started - mine)
    collided(path)
    return mine


def _merge_dicts(
    base: dict[Any, Any],
    mine: dict[Any, Any],
    theirs: dict[Any, Any],
    *,
    same: Same,
    collided: Report,
    path: str,
) -> dict[Any, Any]:
    merged: dict[Any, Any] = {}
    for key in [*theirs, *(key for key in mine if key not in theirs)]:
        value = merge(
            base.get(key, MISSING),
            mine.get(key, MISSING),
            theirs.get(key, MISSING),
            same=same,
            collided=collided,
            path=f"{path}.{key}",
        )
        if value is not MISSING:
            merged[key] = value
    return merged


def additions(base: Any, mine: Any, same: Same) -> Any:
    """What mine adds to a list, at its end, or to a set; None if it does anything else."""
    if isinstance(base, list) and isinstance(mine, list):
        kept = len(mine) > len(base) and same(base, mine[: len(base)])
        return mine[len(base) :] if kept else None
    if isinstance(base, set) and isinstance(mine, set):
        return mine - base if base < mine else None
    return None


def _inside(base: Any, mine: Any) -> bool:
    """Mine is a change inside a container of the base, not a new value in its place."""
    return isinstance(base, dict | list | set) and type(base) is type(mine)
