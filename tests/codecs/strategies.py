"""Values a session may hold, and the strict equality they must come back with."""

from __future__ import annotations

import math
import struct
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from openclaw_middleware.core.record import Record

ZONES = st.one_of(
    st.none(),
    st.just(UTC),
    st.timedeltas(
        min_value=timedelta(hours=-23, minutes=-59), max_value=timedelta(hours=23, minutes=59)
    ).map(timezone),
    st.just(timezone(timedelta(hours=1), "CET | x")),
    st.sampled_from(["Europe/Berlin", "America/St_Johns", "UTC"]).map(ZoneInfo),
)
FIXED = st.one_of(st.none(), st.just(UTC), st.just(timezone(timedelta(hours=-3, minutes=-30))))
TEXT = st.one_of(
    st.text(),
    st.text(st.characters(exclude_categories=())),
    st.sampled_from(["~tuple", "~~x", "~", "~dict", "\ud83d\ude00", "\x00", "😀"]),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(1 << 200), max_value=1 << 200),
    st.sampled_from([2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1]),
    st.floats(),
    TEXT,
    st.binary(max_size=40),
    st.builds(
        lambda moment, zone, fold: moment.replace(tzinfo=zone, fold=fold),
        st.datetimes(),
        ZONES,
        st.sampled_from([0, 1]),
    ),
    st.dates(),
    st.builds(
        lambda at, zone, fold: at.replace(tzinfo=zone, fold=fold),
        st.times(),
        FIXED,
        st.sampled_from([0, 1]),
    ),
    st.timedeltas(),
    st.decimals(),
    st.sampled_from(
        [
            Decimal("sNaN12"),
            Decimal("-NaN7"),
            Decimal("-Infinity"),
            Decimal("-0E+9"),
            Decimal("1E+999999"),
            Decimal("1.10"),
        ]
    ),
    st.uuids(),
)


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:  # a signalling NaN
        return False
    return True


KEYS = st.recursive(
    SCALARS.filter(_hashable),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple), st.frozensets(inner, max_size=3)
    ),
    max_leaves=6,
)


VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(TEXT, inner, max_size=4),
        st.dictionaries(KEYS, inner, max_size=3),
        st.dictionaries(KEYS, inner, max_size=3).map(OrderedDict),
        st.sets(KEYS, max_size=4),
        st.frozensets(KEYS, max_size=4),
    ),
    max_leaves=16,
)


def same(one: Any, other: Any) -> bool:
    """Indistinguishable: type, value, order of dicts, zone and fold, sign of zero, nan as nan."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            same(key, key2) and same(item, item2)
            for (key, item), (key2, item2) in zip(one.items(), other.items(), strict=True)
        )
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, (set, frozenset)):
        rest = list(other)
        for member in one:
            match = next((i for i, found in enumerate(rest) if same(member, found)), None)
            if match is None:
                return False
            del rest[match]
        return not rest
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or struct.pack("d", one) == struct.pack(
            "d", other
        )
    if isinstance(one, Decimal):
        return one.as_tuple() == other.as_tuple()
    if isinstance(one, (datetime, time)):
        plain, plain2 = one.replace(tzinfo=None), other.replace(tzinfo=None)
        return plain == plain2 and one.fold == other.fold and _same_zone(one.tzinfo, other.tzinfo)
    return isinstance(one, (date, timedelta, UUID, int, str, bytes, type(None))) and one == other


def _same_zone(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, ZoneInfo):
        return one.key == other.key
    return one is None or (one == other and one.tzname(None) == other.tzname(None))


def a_record(**changes: Any) -> Record:
    """A signed-in record without a payload."""
    fields: dict[str, Any] = {
        "id": "tag.abc",
        "secret_hash": b"h" * 32,
        "version": 1,
        "write_id": "w",
        "created_at": 1_790_000_000.123456,
        "authenticated_at": 1_790_000_001.5,
        "valid_from": 1_790_000_001.0,
        "last_active_at": 1_790_000_002.0,
        "idle_timeout": 1800.0,
        "absolute_timeout": 28800.0,
        "policy": "default",
        "user_id": "42",
        "payload": b"",
    }
    return Record(**{**fields, **changes})
