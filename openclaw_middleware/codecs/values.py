"""The values both codecs keep beyond their formats, each as a short text or a list of items.

One table for scalars, one for containers, one rule for everything else: what is in no table is
kept exactly through a stand-in or refused with the mend. No format and no library enters here.
"""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

_MICROSECOND = timedelta(microseconds=1)


class Refused(Exception):
    """A value cannot be kept; `path` grows from the inside out while it travels up."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path: list[str] = []


class SafeText(str):
    """Stand-in for a `str` that carries `__html__`; written with the tag "markup"."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Scalar:
    """A type written as text: `tag` names it in JSON, `code` is its MessagePack extension."""

    tag: str
    code: int
    write: Callable[[Any], str]
    read: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Group:
    """A container written as a list of items; `items` and `build` are each other's reverse."""

    tag: str
    code: int
    items: Callable[[Any], list[Any]]
    build: Callable[[Iterable[Any]], Any]


def ordered(members: Iterable[Any]) -> list[Any]:
    """The members of a set in an order that depends on their values alone."""
    listed = list(members)
    kinds = set(map(type, listed))
    if kinds == {str} or kinds == {int}:
        return sorted(listed)
    return sorted(listed, key=_rank)


def _rank(member: Any) -> str:
    # frozensets compare by inclusion and repr follows hash order, so neither can sort a set
    kind = type(member)
    if kind is tuple:
        return f"tuple({','.join(map(_rank, member))})"
    if kind is frozenset:
        return f"frozenset({','.join(sorted(map(_rank, member)))})"
    return f"{kind.__name__}:{hex(member) if kind is int else repr(member)}"


def _flat(pairs: Any) -> list[Any]:
    return [part for pair in pairs.items() for part in pair]


def _paired(items: Iterable[Any]) -> Iterable[tuple[Any, Any]]:
    half = iter(items)
    return zip(half, half, strict=True)


def _write_zone(zone: tzinfo | None) -> str:
    if zone is None:
        return ""
    if type(zone) is timezone:
        offset = zone.utcoffset(None)
        name = zone.tzname(None)
        shown = f"o{offset // _MICROSECOND}"
        return shown if name == timezone(offset).tzname(None) else f"{shown} {name}"
    if type(zone) is ZoneInfo and zone.key is not None:
        return f"z{zone.key}"
    kind = type(zone)
    raise Refused(
        f"its time zone is a {kind.__module__}.{kind.__qualname__}; use zoneinfo.ZoneInfo(...), "
        "datetime.timezone, or UTC"
    )


def _read_zone(text: str) -> tzinfo | None:
    if not text:
        return None
    if text[0] == "z":
        return ZoneInfo(text[1:])
    if text[0] != "o":
        raise ValueError("unknown kind of time zone")
    micros, named, name = text[1:].partition(" ")
    offset = int(micros) * _MICROSECOND
    return timezone(offset, name) if named else timezone(offset)


def _write_moment(moment: datetime | time) -> str:
    zone, fold = moment.tzinfo, moment.fold
    if zone is None and not fold:
        return moment.isoformat()
    return f"{moment.replace(tzinfo=None).isoformat()}|{fold}|{_write_zone(zone)}"


def _read_datetime(text: str) -> datetime:
    shown, marked, rest = text.partition("|")
    moment = datetime.fromisoformat(shown)
    if not marked:
        return moment
    fold, _, zone = rest.partition("|")
    return moment.replace(tzinfo=_read_zone(zone), fold=int(fold))


def _read_time(text: str) -> time:
    shown, marked, rest = text.partition("|")
    moment = time.fromisoformat(shown)
    if not marked:
        return moment
    fold, _, zone = rest.partition("|")
    return moment.replace(tzinfo=_read_zone(zone), fold=int(fold))


def _write_timedelta(span: timedelta) -> str:
    return f"{span.days},{span.seconds},{span.microseconds}"


def _read_timedelta(text: str) -> timedelta:
    days, seconds, micros = map(int, text.split(","))
    return timedelta(days, seconds, micros)


def _read_bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except binascii.Error as exc:
        raise ValueError("not base64") from exc


def _read_markup(text: str) -> str:
    try:
        from markupsafe import Markup
    except ImportError:
        return text
    return Markup(text)  # noqa: S704  # it was marked safe when the application kept it


SCALARS: dict[type, Scalar] = {
    # hex, because decimal digits are limited to 4,300 by the interpreter
    int: Scalar("int", 16, hex, lambda text: int(text, 16)),
    str: Scalar("str", 17, str, str),
    float: Scalar("float", 18, repr, float),
    bytes: Scalar("bytes", 19, lambda raw: base64.b64encode(raw).decode("ascii"), _read_bytes),
    datetime: Scalar("datetime", 20, _write_moment, _read_datetime),
    date: Scalar("date", 21, date.isoformat, date.fromisoformat),
    time: Scalar("time", 22, _write_moment, _read_time),
    timedelta: Scalar("timedelta", 23, _write_timedelta, _read_timedelta),
    Decimal: Scalar("decimal", 24, str, Decimal),
    UUID: Scalar("uuid", 25, lambda value: value.hex, UUID),
    SafeText: Scalar("markup", 26, str.__str__, _read_markup),
}

GROUPS: dict[type, Group] = {
    tuple: Group("tuple", 1, list, tuple),
    set: Group("set", 2, ordered, set),
    frozenset: Group("frozenset", 3, ordered, frozenset),
    dict: Group("dict", 4, _flat, lambda items: dict(_paired(items))),
    OrderedDict: Group("odict", 5, _flat, lambda items: OrderedDict(_paired(items))),
}

SCALAR_BY_CODE = {scalar.code: scalar for scalar in SCALARS.values()}
SCALAR_BY_TAG = {scalar.tag: scalar for scalar in SCALARS.values()}
GROUP_BY_CODE = {group.code: group for group in GROUPS.values()}
GROUP_BY_TAG = {group.tag: group for group in GROUPS.values()}

_MENDS: tuple[tuple[type, str], ...] = (
    (Enum, "keep its .value"),
    (dict, "convert it with dict(...)"),
    (tuple, "convert it with tuple(...)"),
    (list, "convert it with list(...)"),
    (set, "convert it with set(...)"),
    (str, "convert it with str(...)"),
    (int, "convert it with int(...)"),
    (float, "convert it with float(...)"),
    (datetime, "convert it to a plain datetime.datetime"),
    (date, "convert it to a plain datetime.date"),
)


def stand_in(value: Any) -> Any:
    """A value of a known type to write instead of `value`.

    Raises:
        Refused: there is none; the reason names the type and the mend.
    """
    kind = type(value)
    if isinstance(value, str) and hasattr(kind, "__html__"):
        return SafeText(str.__str__(value))
    if hasattr(kind, "_proxy____cast") or kind.__name__ in ("LazyString", "_LazyString"):
        # str() leaves a subclass of str as it is, str.__str__ does not
        return str.__str__(str(value))
    if isinstance(value, UUID):
        return UUID(int=value.int)  # drivers such as asyncpg have their own, equal in all but type
    if kind is bytearray or kind is memoryview:
        return bytes(value)
    if kind.__module__ == "freezegun.api" and isinstance(value, datetime):
        return datetime.combine(value.date(), value.timetz())
    if kind.__module__ == "freezegun.api" and isinstance(value, date):
        return date.fromordinal(value.toordinal())
    mend = next((mend for base, mend in _MENDS if isinstance(value, base)), None)
    raise Refused(
        f"a {kind.__module__}.{kind.__qualname__} cannot be kept exactly; "
        f"{mend or 'keep an id or plain values instead'}"
    )
