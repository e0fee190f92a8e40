"""The careful walk: a value rewritten with nothing but what a format has of its own.

JSON needs it always, MessagePack only when its library declines a value. It is also what finds
the place of a value that cannot be kept. No bytes are made here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from ..errors import CodecError
from .base import MAX_DEPTH
from .values import GROUPS, SCALARS, Group, Refused, Scalar, stand_in

_ALWAYS_NATIVE = frozenset({type(None), bool})


class Lowering(ABC):
    """One format's answers; `lower` is the walk.

    Attributes:
        free: exact types the format keeps whatever their value.
    """

    free: frozenset[type] = _ALWAYS_NATIVE

    @abstractmethod
    def native(self, value: Any) -> bool:
        """Whether the format keeps this very int, str, float or bytes."""

    @abstractmethod
    def scalar(self, form: Scalar, text: str) -> Any:
        """How the format shows a scalar it lacks."""

    @abstractmethod
    def group(self, form: Group, items: list[Any]) -> Any:
        """How the format shows a container it lacks; `items` are lowered."""

    def mapping(self, lowered: dict[str, Any]) -> Any:
        """How the format shows a dict with plain str keys."""
        return lowered

    def lower(self, value: Any) -> Any:
        """`value` in the format's own types.

        Raises:
            CodecError: something inside cannot be kept; the message names where and its type.
        """
        try:
            return self._lower(value, 0)
        except Refused as exc:
            place = _place(exc.path)
            raise CodecError(f"cannot keep {place} in the session: {exc.reason}") from None
        except RecursionError:
            raise CodecError("cannot keep the session data: nested too deeply") from None

    def _lower(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in self.free or (kind in _CHECKED and self.native(value)):
            return value
        if depth >= MAX_DEPTH and (kind is list or kind in GROUPS):
            raise _too_deep()
        if kind is dict and self._plain_keys(value):
            return self._lower_dict(value, depth)
        if kind is list:
            return self._lower_items(value, depth)
        if kind in GROUPS:
            form = GROUPS[kind]
            return self.group(form, self._lower_items(form.items(value), depth, of=kind))
        if kind not in SCALARS:
            return self._lower(stand_in(value), depth)
        scalar = SCALARS[kind]
        return self.scalar(scalar, scalar.write(value))

    def _plain_keys(self, value: dict[Any, Any]) -> bool:
        if not _STR.issuperset(map(type, value)):
            return False
        return str in self.free or all(map(self.native, value))

    def _lower_dict(self, value: dict[str, Any], depth: int) -> Any:
        free = self.free
        out: dict[str, Any] = {}
        key = ""
        try:
            for key, item in value.items():
                out[key] = item if type(item) in free else self._lower(item, depth + 1)
        except Refused as exc:
            exc.path.append(_step(key))
            raise
        return self.mapping(out)

    def _lower_items(self, items: list[Any], depth: int, of: type = list) -> list[Any]:
        free = self.free
        out: list[Any] = []
        try:
            for item in items:
                out.append(item if type(item) in free else self._lower(item, depth + 1))
        except Refused as exc:
            exc.path.append(_item_step(of, items, len(out)))
            raise
        return out


_CHECKED = frozenset({int, str, float, bytes})
_STR = frozenset({str})


def _too_deep() -> Refused:
    return Refused(f"it is nested more than {MAX_DEPTH} levels deep, or contains itself")


def _step(key: Any) -> str:
    if type(key) is str and key.isidentifier():
        return f".{key}"
    if type(key) is str:
        shown = repr(key if len(key) <= 60 else key[:57] + "...")
    elif isinstance(key, int) and key.bit_length() <= 64:
        shown = repr(key)
    else:
        shown = f"<{type(key).__name__}>"
    return f"[{shown}]"


def _item_step(of: type, items: list[Any], index: int) -> str:
    if of is list or of is tuple:
        return f"[{index}]"
    if of is set or of is frozenset:
        return "{...}"
    # flat pairs: even places are keys, odd places are values
    return _step(items[index - 1]) if index % 2 else f" (key {_step(items[index])})"


def _place(path: list[str]) -> str:
    steps = path[::-1]
    if len(steps) > 12:
        steps = [*steps[:12], "..."]
    return "".join(steps).removeprefix(".") or "the data"
