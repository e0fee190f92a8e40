"""MessagePack with exact Python types: the default codec.

ormsgpack does the work in one call; Python code runs only for values MessagePack lacks. Scalars
become extensions holding a short text. A tuple or set of plain values is an extension holding a
packed list; one with containers inside is a list headed by an empty extension, so that packing
and unpacking stay one call deep whatever the data. What the library declines (keys that are not
`str`, lone surrogates, values that cannot be kept) is left to the careful walk.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import ormsgpack

from ..errors import CodecError
from .lowering import Lowering
from .values import (
    GROUP_BY_CODE,
    GROUPS,
    SCALAR_BY_CODE,
    SCALARS,
    Group,
    Scalar,
    stand_in,
)

_OPTIONS = (
    ormsgpack.OPT_PASSTHROUGH_BIG_INT
    | ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
    | ormsgpack.OPT_PASSTHROUGH_TUPLE
    | ormsgpack.OPT_PASSTHROUGH_UUID
)
_PLAIN = frozenset({type(None), bool, int, float, str, bytes})
_HEAD = b"\xc7\x00"  # "ext 8, length 0": how the head of a list is written


class _Head(Enum):
    """First item of a list that stands for another container, while unpacking."""

    TUPLE = 1
    SET = 2
    FROZENSET = 3
    DICT = 4
    ODICT = 5


class MsgpackCodec:
    """MessagePack, keeping the types below exactly.

    Kept: None, bool, int of any size, float with nan and infinities, str with lone surrogates,
    bytes, list, tuple, set, frozenset, dict (any keys that are kept themselves), OrderedDict,
    datetime (naive, fixed offset, zoneinfo; fold), date, time, timedelta, Decimal, UUID.

    Changed: bytearray and memoryview come back as bytes; a str with `__html__` as
    `markupsafe.Markup`, or as str where markupsafe is missing; lazy strings as str; a driver's
    UUID and freezegun's dates as plain ones. Refused: Enum members, every other subclass
    (namedtuple, defaultdict), foreign time zones, everything else. 64 levels of nesting are
    kept, more than 254 never.
    """

    name = "msgpack"
    code = 1

    def encode(self, value: Any) -> bytes:
        """Bytes for `value`; CodecError names the place of what cannot be kept."""
        try:
            return ormsgpack.packb(value, _default, _OPTIONS)
        except (TypeError, RecursionError):
            lowered = _LOWERING.lower(value)
        try:
            return ormsgpack.packb(lowered, None, _OPTIONS)
        except (TypeError, RecursionError) as exc:
            raise CodecError(f"cannot keep the session data: {exc}") from exc

    def decode(self, data: bytes) -> Any:
        """The value `data` were made from; CodecError when they are not MessagePack of ours."""
        try:
            value = ormsgpack.unpackb(data, ext_hook=_extension)
            # one byte is found many times faster than two, and is nearly always missing
            return _revive(value) if 0xC7 in data and _HEAD in data else value
        # whatever a library or a constructor makes of bytes we did not write, it is one error
        except Exception as exc:
            raise CodecError(f"not valid session MessagePack: {exc}") from exc


def _default(value: Any) -> Any:
    kind = type(value)
    scalar = SCALARS.get(kind)
    if scalar is not None:
        return _pack_scalar(scalar, scalar.write(value))
    group = GROUPS.get(kind)
    if group is None:
        value = stand_in(value)
        return value if type(value) in _PLAIN else _default(value)
    return _pack_group(group, group.items(value))


def _pack_group(form: Group, items: list[Any]) -> Any:
    if _PLAIN.issuperset(map(type, items)):
        return ormsgpack.Ext(form.code, ormsgpack.packb(items, None, _OPTIONS))
    return [ormsgpack.Ext(form.code, b""), *items]


def _pack_scalar(form: Scalar, text: str) -> ormsgpack.Ext:
    return ormsgpack.Ext(form.code, text.encode("utf-8", "surrogatepass"))


def _extension(code: int, data: bytes) -> Any:
    scalar = SCALAR_BY_CODE.get(code)
    if scalar is not None:
        return scalar.read(data.decode("utf-8", "surrogatepass"))
    if not data:
        return _Head(code)
    return GROUP_BY_CODE[code].build(ormsgpack.unpackb(data))


def _revive(value: Any) -> Any:
    kind = type(value)
    if kind is list:
        if value and type(value[0]) is _Head:
            build = GROUP_BY_CODE[value[0].value].build
            return build([_revive(item) for item in value[1:]])
        return [_revive(item) for item in value]
    if kind is dict:
        return {key: _revive(item) for key, item in value.items()}
    if kind is _Head:
        raise ValueError("a container's head outside of its list")
    return value


class _MsgpackLowering(Lowering):
    free = frozenset({type(None), bool, float, bytes})

    def native(self, value: Any) -> bool:
        if type(value) is int:
            return -(1 << 63) <= value < 1 << 64
        if type(value) is str:
            try:
                value.encode()
            except UnicodeEncodeError:
                return False
        return True

    def scalar(self, form: Scalar, text: str) -> Any:
        return _pack_scalar(form, text)

    def group(self, form: Group, items: list[Any]) -> Any:
        return _pack_group(form, items)


_LOWERING = _MsgpackLowering()
