"""The data of one session and what a request did to them, recorded so that it can be replayed.

A change is found by comparing encodings made by this process when a value was first reached and
at commit, so nested mutation counts and equal values do not. No I/O, no identity, no time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from ..errors import CodecError
from .hands import show
from .merge import MISSING, Report, additions, merge
from .repeats import Change, InPlace, Repeat, again, applied, ignore, repeated

Encode = Callable[[Any], bytes]

# Values that cannot change in place: reaching them needs no snapshot.
_FIXED = (str, int, float, bool, bytes, type(None))


@dataclass(frozen=True, slots=True)
class Mark:
    """The data at one moment, to tell later what came after it.

    Attributes:
        values: the values by key, the application's own objects.
        encoded: what those that could be changed in place were encoded as.
        set, applied: which keys had been set, and what had been done to others by `apply`.
        apart: a copy, where what was written then is not what the application has at hand.
    """

    values: dict[str, Any]
    encoded: dict[str, bytes | None]
    set: frozenset[str]
    applied: dict[str, tuple[list[Repeat], Any]]
    apart: dict[str, Any] | None


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
        self._applied: dict[str, tuple[list[Repeat], Any]] = {}

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
        value = applied(change, self.data.get(key, MISSING), default, key)
        self._encode(key, value)
        if key not in self._set:
            done = [*self._done(key), again(change, default, key)]
            self._applied[key] = (done, deepcopy(value))
        self._watch(key)
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

    def with_mine(self, key: str, stored: Any) -> Any:
        """A stored value with what this request did to it."""
        if key not in self._before or self._encoded(key) == self._before[key]:
            return stored
        return self._merged(key, self.base().get(key, MISSING), stored, ignore)

    def forget(self, key: str) -> None:
        """Let go of a key that was taken out of the store, and of what was done to it."""
        self.data.pop(key, None)
        self._before.pop(key, None)
        self._applied.pop(key, None)

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
            show(self.data, stored, self._same)
        self._pristine = pristine
        self._before = {}
        self._set = set()
        self._applied = {}
        self._watch_again(watched)

    def mark(self, *, apart: bool = False) -> Mark:
        """This moment.

        Args:
            apart: what is written now is merged, and thus not the data at hand.
        """
        return Mark(
            dict(self.data),
            {key: self._encoded(key) for key in self._before if self._is_mutable(key)},
            frozenset(self._set),
            dict(self._applied),
            deepcopy(self.data) if apart else None,
        )

    def land(
        self,
        mark: Mark,
        stored: dict[str, Any],
        pristine: Callable[[], dict[str, Any]],
        collided: Report,
    ) -> None:
        """`rebase`, after which what was changed since the mark is a change to `stored`.

        Args:
            collided: called with the path of each change that met another one.
        """
        later = {key: before for key, before in self._at(mark) if self._encoded(key) != before}
        if not later:
            self.rebase(stored, pristine)
            return
        # What was written is the ground of it, as far as it came from here.
        watched, apart = list(self._before), mark.apart
        self._pristine = pristine if apart is None else lambda: apart
        self._before = later
        self._set = {
            key
            for key in self._set
            if key in later
            and (key not in mark.set or self.data.get(key) is not mark.values.get(key))
        }
        applied = {
            key: (done[len(mark.applied.get(key, ((), None))[0]) :], base)
            for key, (done, base) in self._applied.items()
            if key in later
        }
        self._applied = {
            key: (done, base)
            for key, (done, base) in applied.items()
            # A change in place that came first is one to what was not written yet.
            if done and not isinstance(done[0], InPlace)
        }
        self.advance(pristine, collided)
        self._watch_again(watched)

    def fork(self, mark: Mark, sent: Callable[[], dict[str, Any]]) -> TrackedData:
        """A copy with the changes made up to the mark.

        Args:
            sent: gives what was written then, decoded anew, if that was the data at hand.
        """
        copy = TrackedData(self.encode)
        copy._pristine = self._pristine
        copy.data = sent() if mark.apart is None else deepcopy(mark.apart)
        copy._before = dict(self._before)
        copy._set = set(mark.set)
        copy._applied = dict(mark.applied)
        return copy

    def _at(self, mark: Mark) -> Iterator[tuple[str, bytes | None]]:
        """What each key that was reached was encoded as at the mark, where it may have changed."""
        for key, before in self._before.items():
            value = mark.values.get(key, MISSING)
            if key in mark.encoded:
                yield key, mark.encoded[key]
            elif value is not self.data.get(key, MISSING):
                yield key, None if value is MISSING else self._encode(key, value)
            elif self._is_mutable(key):
                # First reached since.
                yield key, before

    def _is_mutable(self, key: str) -> bool:
        return key in self.data and type(self.data[key]) not in _FIXED

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
        merged = self.replay(theirs, collided)
        before = {key: self._encode(key, theirs[key]) if key in theirs else None for key in changed}
        applied = {
            key: (done, deepcopy(repeated(done, theirs.get(key, MISSING), ignore)))
            for key, (done, _) in self._applied.items()
            if key in before and key in merged
        }
        watched, was_set = list(self._before), self._set
        show(self.data, merged, self._same)
        self._pristine = pristine
        self._before = before
        self._set = {key for key in was_set if key in before}
        self._applied = applied
        self._watch_again(watched)

    def _merged(self, key: str, base: Any, theirs: Any, collided: Report) -> Any:
        mine = self.data.get(key, MISSING)
        if key in self._applied:
            done, base = self._applied[key]
            theirs = repeated(done, theirs, collided)
            if theirs is MISSING:
                collided(key)
                return MISSING
        elif key in self._set and theirs is MISSING:
            if base is not MISSING and mine is not MISSING:
                collided(key)
            # What a list or set held before was removed by somebody who had seen it.
            added = additions(base, mine, self._same)
            return mine if added is None else added
        return merge(base, mine, theirs, same=self._same, collided=collided, path=key)

    def _done(self, key: str) -> list[Repeat]:
        """What this request did to a value before it calls `apply`, changes in place included."""
        done, base = self._applied.get(key, ([], MISSING))
        if key not in self._before or key not in self.data:
            return done
        if not done:
            if self._encoded(key) == self._before[key]:
                return done
            base = self.base().get(key, MISSING)
        elif self._same(base, self.data[key]):
            return done
        return [*done, InPlace(key, base, deepcopy(self.data[key]), self._same)]

    def _watch_again(self, keys: Iterable[str]) -> None:
        """The application may hold what it has reached."""
        for key in keys:
            if self._is_mutable(key):
                self._watch(key)

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
