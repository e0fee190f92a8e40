"""The data of one session and what a request did to them, recorded so that it can be replayed.

A change is found by comparing encodings made by this process when a value was first reached and
at commit, so nested mutation counts and equal values do not. No I/O, no identity, no time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

from ..errors import CodecError
from .merge import MISSING, Report, merge

Encode = Callable[[Any], bytes]
Change = Callable[[Any], Any]

# Values that cannot change in place: reaching them needs no snapshot.
_FIXED = (str, int, float, bool, bytes, type(None))


class TrackedData:
    """A dict that remembers what was done to it.

    Args:
        encode: canonical encoding within this process.
        pristine: gives the data as stored, decoded anew at each call; None for no stored data.
    """

    __slots__ = ("_applied", "_before", "_pristine", "_set", "data", "encode")

    def __init__(
        self, encode: Encode, pristine: Callable[[], dict[str, Any]] | None = None
    ) -> None:
        self.encode = encode
        self._pristine = pristine
        self.data: dict[str, Any] = pristine() if pristine else {}
        self._before: dict[str, bytes | None] = {}
        self._set: set[str] = set()
        self._applied: dict[str, tuple[list[tuple[Change, Any]], Any]] = {}

    def get(self, key: str) -> Any:
        """The value; raises KeyError. A mutable one is watched from here on."""
        value = self.data[key]
        if type(value) not in _FIXED:
            self._watch(key)
        return value

    def set(self, key: str, value: Any) -> None:
        """Store a value; one that cannot be encoded is refused and the old one stays.

        Raises:
            CodecError: naming the key and the type.
        """
        if type(value) not in _FIXED:
            self._encode(key, value)
        self._watch(key)
        self._applied.pop(key, None)
        self._set.add(key)
        self.data[key] = value

    def delete(self, key: str) -> None:
        """Remove a key; raises KeyError."""
        if key not in self.data:
            raise KeyError(key)
        self._watch(key)
        self._applied.pop(key, None)
        self._set.add(key)
        del self.data[key]

    def apply(self, key: str, change: Change, default: Any) -> Any:
        """Replace the value by `change(copy of it)`, to be repeated on whatever is stored then."""
        if default is MISSING and key not in self.data:
            raise KeyError(key)
        value = _applied(change, self.data.get(key, MISSING), default, key)
        self._encode(key, value)
        self._watch(key)
        if key not in self._set:
            calls, _ = self._applied.get(key, ([], None))
            self._applied[key] = ([*calls, (change, default)], deepcopy(value))
        self.data[key] = value
        return value

    def clear(self) -> None:
        """Remove every key."""
        for key in list(self.data):
            self.delete(key)

    def iterate(self) -> Iterator[str]:
        """The keys, in stored order."""
        return iter(self.data)

    def changed(self) -> list[str]:
        """Keys whose value differs from what was stored, in order of first access.

        Raises:
            CodecError: a value changed in place can no longer be encoded; names the key.
        """
        return [key for key, before in self._before.items() if self._encoded(key) != before]

    def touched(self) -> list[str]:
        """Keys that were reached and may have changed, told without encoding anything."""
        return list(self._before)

    def holds_own(self, key: str) -> bool:
        """Whether this request has set or removed the key itself."""
        return key in self._set

    def replay(
        self, theirs: dict[str, Any], collided: Report, *, yield_to_theirs: bool = False
    ) -> dict[str, Any]:
        """`theirs` with this request's changes merged in.

        Args:
            theirs: the data as another request stored them; left unchanged.
            collided: called with the path of each change that met another one.
            yield_to_theirs: a key they changed keeps their value, ours is dropped.
        """
        base = self.base()
        merged = dict(theirs)
        for key in self.changed():
            started = base.get(key, MISSING)
            current = theirs.get(key, MISSING)
            if yield_to_theirs and not self._same(started, current):
                collided(key)
                continue
            value = self._merged(key, started, current, collided)
            if value is MISSING:
                merged.pop(key, None)
            else:
                merged[key] = value
        return merged

    def rebase(self, stored: dict[str, Any], pristine: Callable[[], dict[str, Any]]) -> None:
        """Take `stored` as the new starting point after it was saved or loaded.

        Containers the application holds stay the same objects, so that it can go on with them.
        """
        watched = list(self._before)
        if stored is not self.data:
            for key in [key for key in self.data if key not in stored]:
                del self.data[key]
            for key, value in stored.items():
                self.data[key] = _adopt(self.data.get(key, MISSING), value)
        self._pristine = pristine
        self._before = {}
        self._set = set()
        self._applied = {}
        for key in watched:
            if type(self.data.get(key)) not in _FIXED:
                self._watch(key)

    def fork(self) -> TrackedData:
        """A copy with the changes made so far, which later ones do not reach."""
        copy = TrackedData(self.encode)
        copy._pristine = self._pristine
        copy.data = deepcopy(self.data)
        copy._before = dict(self._before)
        copy._set = set(self._set)
        copy._applied = dict(self._applied)
        return copy

    def base(self) -> dict[str, Any]:
        """The data this request started from, decoded anew."""
        return self._pristine() if self._pristine else {}

    def advance(self, pristine: Callable[[], dict[str, Any]], collided: Report) -> None:
        """Start from newer stored data instead, with the changes made so far on top of them.

        They stay what they were: an `apply` is still repeated, a change in place still follows
        its key.
        """
        changed = self.changed()
        theirs = pristine()
        # Copies, because the application's own containers are about to show `theirs`.
        merged = deepcopy(self.replay(theirs, collided))
        was_set, applied = self._set, self._applied
        self.rebase(pristine(), pristine)
        for key in changed:
            self._watch(key)
            if key not in merged:
                self.data.pop(key, None)
            else:
                self.data[key] = _adopt(self.data.get(key, MISSING), merged[key])
            if key in was_set:
                self._set.add(key)
            elif key in applied and key in merged:
                calls, _ = applied[key]
                self._applied[key] = (calls, self._repeated(key, calls, theirs.get(key, MISSING)))

    def _merged(self, key: str, base: Any, theirs: Any, collided: Report) -> Any:
        mine = self.data.get(key, MISSING)
        if key in self._applied:
            calls, base = self._applied[key]
            theirs = self._repeated(key, calls, theirs)
            if theirs is MISSING:
                collided(key)
                return MISSING
        elif key in self._set and theirs is MISSING:
            if base is not MISSING and mine is not MISSING:
                collided(key)
            return mine
        return merge(base, mine, theirs, same=self._same, collided=collided, path=key)

    def _repeated(self, key: str, calls: Sequence[tuple[Change, Any]], value: Any) -> Any:
        """The value after these calls; MISSING if there is nothing to begin with."""
        for change, default in calls:
            if value is MISSING and default is MISSING:
                return MISSING
            value = _applied(change, value, default, key)
        return value

    def _watch(self, key: str) -> None:
        if key not in self._before:
            self._before[key] = self._encoded(key)

    def _encoded(self, key: str) -> bytes | None:
        return self._encode(key, self.data[key]) if key in self.data else None

    def _encode(self, key: str, value: Any) -> bytes:
        try:
            return self.encode(value)
        except CodecError as error:
            raise CodecError(f"session[{key!r}] cannot be stored: {error}") from error

    def _same(self, one: Any, other: Any) -> bool:
        if one is MISSING or other is MISSING:
            return one is other
        return self.encode(one) == self.encode(other)


def _applied(change: Change, value: Any, default: Any, key: str) -> Any:
    result = change(deepcopy(default if value is MISSING else value))
    if result is None:
        raise TypeError(
            f"the function given to apply({key!r}) returned None: it must return the new value"
        )
    return result


def _adopt(held: Any, value: Any) -> Any:
    """`value`, written into the container the application may hold where the kinds agree."""
    if held is value or type(held) is not type(value):
        return value
    if isinstance(held, dict):
        fresh = {key: _adopt(held.get(key, MISSING), item) for key, item in value.items()}
        held.clear()
        held.update(fresh)
    elif isinstance(held, list):
        held[:] = value
    elif isinstance(held, set):
        held.clear()
        held.update(value)
    else:
        return value
    return held
