"""Both codecs keep every value exactly, or say where and why they cannot."""

from __future__ import annotations

import contextlib
import enum
import subprocess
import sys
import threading
import uuid
from collections import OrderedDict, defaultdict, namedtuple
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_middleware.codecs.base import MAX_DEPTH, Codec
from openclaw_middleware.codecs.json import JsonCodec
from openclaw_middleware.codecs.msgpack import MsgpackCodec
from openclaw_middleware.errors import CodecError

from .strategies import KEYS, TEXT, VALUES, same

CODECS: list[Codec] = [MsgpackCodec(), JsonCodec()]
both = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)


@both
@settings(max_examples=600, deadline=None)
@given(value=VALUES)
def test_round_trip_is_exact_and_canonical(codec: Codec, value: Any) -> None:
    data = codec.encode(value)
    back = codec.decode(data)
    assert same(back, value)
    assert codec.encode(back) == data


@both
@settings(max_examples=200, deadline=None)
@given(data=st.data(), members=st.lists(KEYS, max_size=6))
def test_sets_are_written_in_one_order(codec: Codec, data: st.DataObject, members: Any) -> None:
    members = list(OrderedDict.fromkeys(members))  # equal ones of other types would be dropped
    shuffled = data.draw(st.permutations(members))
    assert codec.encode(set(members)) == codec.encode(set(shuffled))
    assert codec.encode([frozenset(members)]) == codec.encode([frozenset(shuffled)])


@both
def test_sets_of_colliding_members_are_written_in_one_order(codec: Codec) -> None:
    one, other = set([0, 8, 2.5]), set([8, 2.5, 0])  # equal literals share an order
    assert list(one) != list(other)
    assert codec.encode(one) == codec.encode(other)


@both
@pytest.mark.parametrize("values", [(1, True, 1.0), ([1], (1,)), ({1}, frozenset({1})), ("1", 1)])
def test_equal_values_of_other_types_differ(codec: Codec, values: tuple[Any, ...]) -> None:
    assert len({codec.encode(value) for value in values}) == len(values)


@both
def test_order_of_a_dict_is_part_of_it(codec: Codec) -> None:
    assert codec.encode({"a": 1, "b": 2}) != codec.encode({"b": 2, "a": 1})


@both
@given(key=TEXT, inner=st.one_of(st.text(), st.lists(st.integers())))
def test_dicts_that_look_like_tags_survive(codec: Codec, key: str, inner: Any) -> None:
    for marked in (key, "~" + key, "~tuple", "~~tuple", "~datetime", "~dict"):
        value = {marked: {marked: inner}}
        assert same(codec.decode(codec.encode(value)), value)


@both
def test_integers_beyond_the_digit_limit(codec: Codec) -> None:
    big = 10**5000
    for value in (big, -big, {big}, {big, "a"}, {big: {-big: (big,)}}):
        assert codec.decode(codec.encode(value)) == value
    with pytest.raises(CodecError, match="complex"):
        codec.encode({big: 1j})


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    ONE = 1


class Owner:
    pass


class OwnZone(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta:
        return timedelta(hours=1)


class Name(str):
    pass


Point = namedtuple("Point", "x y")


@both
@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (Owner(), "test_codecs.Owner"),
        (Colour.RED, r"Colour cannot be kept exactly; keep its \.value"),
        (Level.ONE, r"Level cannot be kept exactly; keep its \.value"),
        (Name("x"), r"Name .*str\(\.\.\.\)"),
        (Point(1, 2), r"Point .*tuple\(\.\.\.\)"),
        (defaultdict(list), r"defaultdict .*dict\(\.\.\.\)"),
        (datetime(2026, 1, 1, tzinfo=OwnZone()), "time zone is a .*OwnZone"),
        (1j, "builtins.complex"),
    ],
)
def test_refusals_name_place_and_type(codec: Codec, bad: Any, named: str) -> None:
    for value, place in (
        ({"cart": [{"owner": bad}]}, r"cart\[0\]\.owner "),
        ({"a": (1, bad)}, r"a\[1\] "),
        ({"a b": {7: bad}}, r"\['a b'\]\[7\] "),
        (bad, "the data "),
    ):
        with pytest.raises(CodecError, match=rf"cannot keep {place}.*{named}"):
            codec.encode(value)


@both
@pytest.mark.parametrize("bad", [Colour.RED, Level.ONE, Name("x"), Owner()])
def test_keys_are_kept_exactly_or_refused(codec: Codec, bad: Any) -> None:
    with pytest.raises(CodecError, match=r"a \(key"):
        codec.encode({"a": {bad: 1}})
    with pytest.raises(CodecError, match=r"a\{\.\.\.\}"):
        codec.encode({"a": {bad}})


@both
def test_what_is_changed_on_purpose(codec: Codec) -> None:
    class DriverUUID(uuid.UUID):
        pass

    class LazyString:
        def __str__(self) -> str:
            return "later"

    class Safe(str):
        def __html__(self) -> str:
            return self

    from django.utils.functional import lazy
    from django.utils.safestring import SafeString
    from markupsafe import Markup

    one = uuid.uuid4()
    for value, wanted in (
        (bytearray(b"x"), b"x"),
        (memoryview(b"x"), b"x"),
        (DriverUUID(one.hex), one),
        (LazyString(), "later"),
        (lazy(lambda: "soon", str)(), "soon"),
        (lazy(lambda: SafeString("<b>"), str)(), "<b>"),
        (Safe("<b>"), Markup("<b>")),
        (Markup("<b>\ud800"), Markup("<b>\ud800")),
        (SafeString("<b>"), Markup("<b>")),
    ):
        back = codec.decode(codec.encode({"a": [value]}))["a"][0]
        assert (type(back), back) == (type(wanted), wanted)


@both
def test_markup_without_markupsafe_is_text(codec: Codec, monkeypatch: Any) -> None:
    from markupsafe import Markup

    data = codec.encode(Markup("<b>"))
    monkeypatch.setitem(sys.modules, "markupsafe", None)
    assert type(codec.decode(data)) is str


def nested(levels: int, wrap: Any) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


WRAPS = [
    lambda inner: [inner],
    lambda inner: (inner,),
    lambda inner: {"a": inner},
    lambda inner: {1: inner},
    lambda inner: OrderedDict(a=inner),
    lambda inner: ([{"x": inner}],) if isinstance(inner, int) else [(inner,)][0],
]


@both
@pytest.mark.parametrize("wrap", WRAPS)
def test_depth(codec: Codec, wrap: Any) -> None:
    value = nested(MAX_DEPTH - 2, wrap)
    assert same(codec.decode(codec.encode(value)), value)
    for levels in (300, 5_000):
        with pytest.raises(CodecError, match="nested"):
            codec.encode(nested(levels, wrap))


@both
def test_whatever_is_written_can_be_read(codec: Codec) -> None:
    """At any depth, on the small stack of a thread, for containers of every sort in turn."""
    failures: list[Any] = []

    def run() -> None:
        for sorts in (WRAPS[:1], WRAPS[:2], WRAPS[:3], WRAPS[1:2], WRAPS[2:4]):
            for levels in range(1, 300):
                value = 1
                for level in range(levels):
                    value = sorts[level % len(sorts)](value)
                try:
                    data = codec.encode(value)
                except CodecError:
                    break
                if not same(codec.decode(data), value):
                    failures.append((sorts, levels))

    before = threading.stack_size(512 * 1024)
    thread = threading.Thread(target=run)
    thread.start()
    threading.stack_size(before)
    thread.join()
    assert not failures


@both
def test_circles(codec: Codec) -> None:
    a: list[Any] = []
    a.append((a, a))
    b: dict[str, Any] = {}
    b["again"] = {"b": b}
    for value in ({"a": a}, b):
        with pytest.raises(CodecError, match="contains itself"):
            codec.encode(value)


@both
@given(data=st.binary(max_size=200))
def test_foreign_bytes_are_a_codec_error_or_a_value(codec: Codec, data: bytes) -> None:
    with contextlib.suppress(CodecError):
        codec.decode(data)


@both
@settings(max_examples=300, deadline=None)
@given(value=VALUES, place=st.integers(min_value=0), bit=st.integers(0, 255))
def test_damaged_bytes_are_a_codec_error_or_a_value(
    codec: Codec, value: Any, place: int, bit: int
) -> None:
    data = bytearray(codec.encode(value))
    data[place % len(data)] = bit
    for damaged in (bytes(data), bytes(data[: place % len(data)])):
        with contextlib.suppress(CodecError):
            codec.decode(damaged)


class TestForged:
    deep: ClassVar = b"\x91" * 100_000 + b"\x90"

    @pytest.mark.parametrize(
        "data",
        [
            deep,
            b"\xd4\x63x",
            b"\xc7\x00\x01",
            b"\x91\xc7\x00\x09",
            b"\x94\xc7\x00\x04\x01\x02\x03",
            b"\x92\xc7\x00\x02\x90",
            b"\xdd\xff\xff\xff\xff",
            b"\x82\xa1a\xc7\x00\x01\xa1b\x01",
            b"\xd8\x14xxxxxxxxxxxxxxxx",
            b"\xc7\x03\x14a|0",
        ],
    )
    def test_msgpack(self, data: bytes) -> None:
        with pytest.raises(CodecError):
            MsgpackCodec().decode(data)

    def test_msgpack_in_extensions_in_extensions(self) -> None:
        data = b"\x90"
        for _ in range(300):
            inner = b"\x91" * 1000 + b"\xc9" + len(data).to_bytes(4, "big") + b"\x01" + data
            data = inner
        with pytest.raises(CodecError):
            MsgpackCodec().decode(data)

    @pytest.mark.parametrize(
        "data",
        [
            b"[" * 100_000 + b"]" * 100_000,
            b'{"~nothing":"x"}',
            b'{"~tuple":"x"}',
            b'{"~datetime":["x"]}',
            b'{"~datetime":"x"}',
            b'{"~datetime":"2026-01-01|0|q"}',
            b'{"~dict":[1]}',
            b'{"~set":[[]]}',
            b'{"~decimal":"x"}',
            b'{"~bytes":"\xc3\xa4"}',
            b"NaN",
            b"1" * 5000,
            b"\xff",
        ],
    )
    def test_json(self, data: bytes) -> None:
        with pytest.raises(CodecError):
            JsonCodec().decode(data)


def test_formats_are_fixed() -> None:
    """Such bytes lie in stores; a change needs a new codec code."""
    value = {"s": {"b", "a"}, "t": (1, (2, [3])), "d": Decimal("1.10"), "m": {1: timedelta.max}}
    wanted = [
        b"\x84\xa1s\xc7\x05\x02\x92\xa1a\xa1b\xa1t\x93\xc7\x00\x01\x01\x93\xc7\x00\x01\x02\x91\x03"
        b"\xa1d\xd6\x181.10\xa1m\x93\xc7\x00\x04\x01\xc7\x16\x17999999999,86399,999999",
        b'{"s":{"~set":["a","b"]},"t":{"~tuple":[1,{"~tuple":[2,[3]]}]},"d":{"~decimal":"1.10"},'
        b'"m":{"~dict":[1,{"~timedelta":"999999999,86399,999999"}]}}',
    ]
    for codec, data in zip(CODECS, wanted, strict=True):
        assert same(codec.decode(data), value)
        assert codec.encode(value) == data


def test_an_aware_datetime_keeps_zone_and_fold_across_processes() -> None:
    code = (
        "from openclaw_middleware.codecs.msgpack import MsgpackCodec as C;"
        "from datetime import datetime; from zoneinfo import ZoneInfo; import sys;"
        "sys.stdout.write(C().encode(datetime(2026,10,25,2,30,fold=1,"
        "tzinfo=ZoneInfo('Europe/Berlin'))).hex())"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    back = MsgpackCodec().decode(bytes.fromhex(made.stdout))
    assert (back.tzinfo.key, back.fold) == ("Europe/Berlin", 1)
    assert back.astimezone(UTC).hour == 1
