"""Verify, then decode: nothing altered, swapped or foreign is ever parsed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_middleware.codecs.compression import ZlibCompressor, ZstdCompressor
from openclaw_middleware.codecs.encryption import AesGcmRing
from openclaw_middleware.codecs.json import JsonCodec
from openclaw_middleware.codecs.msgpack import MsgpackCodec
from openclaw_middleware.core.envelope import EnvelopeError, EnvelopeFault, Sealer, binding
from openclaw_middleware.core.keys import derive
from openclaw_middleware.core.record import Record
from openclaw_middleware.errors import CodecError, ConfigurationError

from .strategies import VALUES, a_record, same

MAC, OLD_MAC = b"m" * 32, b"o" * 32
AES, OLD_AES = b"a" * 32, b"b" * 32
CONTENT = {"cart": [{"sku": "A", "n": 1}] * 30, "seen": {1, 2}}


class Spy:
    """A codec and compressor that counts how often it is asked to read."""

    name, code = "spy", 1

    def __init__(self) -> None:
        self.read = 0

    def encode(self, value: Any) -> bytes:
        return MsgpackCodec().encode(value)

    def decode(self, data: bytes) -> Any:
        self.read += 1
        return MsgpackCodec().decode(data)

    def compress(self, data: bytes) -> bytes:
        return ZlibCompressor().compress(data)

    def decompress(self, data: bytes, max_size: int) -> bytes:
        self.read += 1
        return ZlibCompressor().decompress(data, max_size)


def a_sealer(**changes: Any) -> Sealer:
    return Sealer(**{"codec": MsgpackCodec(), "mac_keys": (MAC,), **changes})


SHAPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "zlib": {"compressor": ZlibCompressor(), "compress_over": 64},
    "zstd": {"compressor": ZstdCompressor(), "compress_over": 64},
    "encrypted": {"cipher": AesGcmRing([AES])},
    "zstd, encrypted": {
        "compressor": ZstdCompressor(),
        "compress_over": 0,
        "cipher": AesGcmRing([AES]),
    },
    "json": {"codec": JsonCodec()},
}
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def sealed_in(record: Record, sealer: Sealer, content: Any = CONTENT) -> Record:
    return dataclasses.replace(record, payload=sealer.seal(record, content))


def fault_of(sealer: Sealer, record: Record) -> EnvelopeFault:
    with pytest.raises(EnvelopeError) as caught:
        sealer.unseal(record)
    assert isinstance(caught.value, CodecError)
    return caught.value.reason


@shapes
@settings(max_examples=60, deadline=None)
@given(content=VALUES)
def test_round_trip(shape: dict[str, Any], content: Any) -> None:
    sealer = a_sealer(**shape)
    opened = sealer.unseal(sealed_in(a_record(), sealer, content))
    assert same(opened.decode(), content)


@shapes
def test_each_decode_is_fresh(shape: dict[str, Any]) -> None:
    sealer = a_sealer(**shape)
    opened = sealer.unseal(sealed_in(a_record(), sealer))
    opened.decode()["cart"].clear()
    assert same(opened.decode(), CONTENT)


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_any_altered_byte_and_any_cut_is_refused_unread(encrypted: bool, compressed: bool) -> None:
    spy = Spy()
    sealer = a_sealer(
        codec=spy,
        compressor=spy if compressed else None,
        compress_over=0 if compressed else None,
        cipher=AesGcmRing([AES]) if encrypted else None,
    )
    record = sealed_in(a_record(), sealer)
    whole = record.payload
    for place in range(len(whole)):
        for bit in (1, 128):
            altered = bytearray(whole)
            altered[place] ^= bit
            fault_of(sealer, dataclasses.replace(record, payload=bytes(altered)))
        fault_of(sealer, dataclasses.replace(record, payload=whole[:place]))
    fault_of(sealer, dataclasses.replace(record, payload=whole + b"\x00"))
    assert spy.read == 0
    assert same(sealer.unseal(record).decode(), CONTENT)
    assert spy.read == 1 + compressed


BOUND: list[dict[str, Any]] = [
    {"id": "tag.abd"},
    {"user_id": "43"},
    {"user_id": None},
    {"user_id": ""},
    {"created_at": 1_790_000_000.123457},
    {"authenticated_at": 1_790_000_001.500001},
    {"authenticated_at": None},
    {"policy": "remember"},
    {"idle_timeout": 1801.0},
    {"absolute_timeout": float("inf")},
    {"absolute_timeout": float("nan")},
]


@shapes
@pytest.mark.parametrize("change", BOUND, ids=str)
def test_an_envelope_opens_in_its_own_record_only(
    shape: dict[str, Any], change: dict[str, Any]
) -> None:
    spy = Spy()
    sealer = a_sealer(**{**shape, "codec": spy})
    record = sealed_in(a_record(), sealer)
    reason = fault_of(sealer, dataclasses.replace(record, **change))
    assert reason in (EnvelopeFault.BAD_TAG, EnvelopeFault.MALFORMED)
    assert spy.read == 0


@shapes
def test_what_changes_while_data_stay_is_not_bound(shape: dict[str, Any]) -> None:
    sealer = a_sealer(**shape)
    record = dataclasses.replace(
        sealed_in(a_record(), sealer),
        version=9,
        generation=3,
        secret_hash=b"x" * 32,
        next_hash=b"y" * 32,
        previous_hash=b"z" * 32,
        write_id="other",
        valid_from=1.0,
        last_active_at=2.0,
        promoted_at=3.0,
    )
    assert same(sealer.unseal(record).decode(), CONTENT)


TRICKY = st.text("|:-1a", max_size=6)


@settings(max_examples=500)
@given(
    id=TRICKY,
    user=st.none() | TRICKY,
    policy=TRICKY,
    cut=st.integers(0, 6),
    again=st.integers(0, 6),
)
def test_binding_is_unambiguous(
    id: str, user: str | None, policy: str, cut: int, again: int
) -> None:
    """No text moves from one field into its neighbour, whatever separators it holds."""
    one = (id, user, policy)
    whole = binding(a_record(id=id, user_id=user, policy=policy))
    joined = f"{id}|{user or ''}"
    shifted: list[tuple[str, str | None, str]] = [
        (joined[:cut], joined[cut:], policy),
        (joined[:cut], joined[cut + 1 :], policy),
        (id, None if user == "" else user or "", policy),
        (id, "-" if user is None else None, policy),
        (policy, user, id),
        (id, policy, user or ""),
        (id[again:], user, id[:again] + policy),
    ]
    for other in shifted:
        moved = binding(a_record(id=other[0], user_id=other[1], policy=other[2]))
        assert (whole == moved) == (one == other)


@given(micros=st.integers(min_value=0, max_value=4_000_000_000_000_000))
def test_binding_is_the_same_however_a_store_keeps_a_time(micros: int) -> None:
    as_float = micros / 1e6
    as_text = float(f"{as_float:.6f}")
    assert binding(a_record(created_at=as_float)) == binding(a_record(created_at=as_text))
    assert b"|%d|" % micros in binding(a_record(created_at=as_float))


def test_old_envelopes_open_after_every_change_of_settings() -> None:
    old = [
        a_sealer(),
        a_sealer(mac_keys=(OLD_MAC,)),
        a_sealer(codec=JsonCodec()),
        a_sealer(compressor=ZlibCompressor(), compress_over=0),
        a_sealer(cipher=AesGcmRing([OLD_AES])),
        a_sealer(cipher=AesGcmRing([AES]), compressor=ZstdCompressor(), compress_over=0),
    ]
    new = a_sealer(
        codecs=(JsonCodec(),),
        mac_keys=(MAC, OLD_MAC),
        cipher=AesGcmRing([AES, OLD_AES]),
        decompressors=(ZlibCompressor(), ZstdCompressor()),
    )
    off = a_sealer(
        codecs=(JsonCodec(),),
        mac_keys=(MAC, OLD_MAC),
        read_ciphers=(AesGcmRing([OLD_AES]), AesGcmRing([AES])),
        decompressors=(ZlibCompressor(), ZstdCompressor()),
    )
    for writer in (*old, new):
        for reader in (new, off):
            assert same(reader.unseal(sealed_in(a_record(), writer)).decode(), CONTENT)


def test_the_first_key_seals() -> None:
    rotated = sealed_in(a_record(), a_sealer(mac_keys=(MAC, OLD_MAC)))
    assert fault_of(a_sealer(mac_keys=(OLD_MAC,)), rotated) is EnvelopeFault.UNKNOWN_KEY
    a_sealer(mac_keys=(MAC,)).unseal(rotated)
    rotated = sealed_in(a_record(), a_sealer(cipher=AesGcmRing([AES, OLD_AES])))
    assert fault_of(a_sealer(cipher=AesGcmRing([OLD_AES])), rotated) is EnvelopeFault.UNKNOWN_KEY
    a_sealer(cipher=AesGcmRing([AES])).unseal(rotated)


def test_what_is_not_configured_has_its_own_reason() -> None:
    reader = a_sealer()
    for writer, reason in (
        (a_sealer(mac_keys=(OLD_MAC,)), EnvelopeFault.UNKNOWN_KEY),
        (a_sealer(cipher=AesGcmRing([AES])), EnvelopeFault.UNKNOWN_KEY),
        (a_sealer(codec=JsonCodec()), EnvelopeFault.UNKNOWN_CODEC),
        (a_sealer(compressor=ZlibCompressor(), compress_over=0), EnvelopeFault.UNKNOWN_CODEC),
    ):
        assert fault_of(reader, sealed_in(a_record(), writer)) is reason


@pytest.mark.parametrize("payload", [b"\x02", b"\x02" + b"x" * 100, b"\x00", b"\xff" * 9])
def test_a_newer_revision_is_named(payload: bytes) -> None:
    assert fault_of(a_sealer(), a_record(payload=payload)) is EnvelopeFault.UNKNOWN_REVISION


@given(payload=st.binary(max_size=200))
def test_foreign_bytes_never_open(payload: bytes) -> None:
    sealer = a_sealer(cipher=AesGcmRing([AES]))
    for start in (
        b"",
        b"\x01",
        a_sealer().seal(a_record(), {})[:8],
        sealer.seal(a_record(), 1)[:8],
    ):
        fault_of(sealer, a_record(payload=start + payload))


def test_sizes() -> None:
    big = {"a": "x" * 5000}
    record = sealed_in(a_record(), a_sealer(), big)
    assert fault_of(a_sealer(max_sealed=4000), record) is EnvelopeFault.TOO_LARGE
    for small in (a_sealer(max_sealed=4000), a_sealer(max_plain=4000)):
        with pytest.raises(EnvelopeError, match="over the limit of 4,000") as caught:
            small.seal(a_record(), big)
        assert caught.value.reason is EnvelopeFault.TOO_LARGE


def test_the_sizes_where_nobody_says_otherwise() -> None:
    """8 MiB of data, 1 MiB as stored."""
    with pytest.raises(EnvelopeError, match="over the limit of 1,048,576"):
        a_sealer().seal(a_record(), "x" * (1 << 20))
    packing = a_sealer(compressor=ZlibCompressor(1), compress_over=0)
    packing.seal(a_record(), "x" * ((8 << 20) - 100))
    with pytest.raises(EnvelopeError, match="over the limit of 8,388,608"):
        packing.seal(a_record(), "x" * (8 << 20))


@pytest.mark.parametrize("compressor", [ZlibCompressor(), ZstdCompressor()])
def test_a_bomb_is_refused_when_it_is_decoded(compressor: Any) -> None:
    writer = a_sealer(compressor=compressor, compress_over=0)
    record = sealed_in(a_record(), writer, "x" * (1 << 20))
    reader = a_sealer(decompressors=(compressor,), max_plain=1000)
    with pytest.raises(EnvelopeError) as caught:
        reader.unseal(record).decode()
    assert caught.value.reason is EnvelopeFault.TOO_LARGE


def test_compression_is_used_only_where_it_helps() -> None:
    sealer = a_sealer(compressor=ZlibCompressor(), compress_over=100)
    sizes = {"x" * 50: 0, "x" * 500: 1}
    for text, compression in sizes.items():
        assert sealer.seal(a_record(), text)[2] == compression
    noise = derive(b"k", "1") * 1 + derive(b"k", "2") + derive(b"k", "3") + derive(b"k", "4")
    assert sealer.seal(a_record(), noise)[2] == 0


def test_content_our_codec_cannot_read_is_undecodable() -> None:
    class Odd(Spy):
        def encode(self, value: Any) -> bytes:
            return b"\xc1"

    record = sealed_in(a_record(), a_sealer(codec=Odd()))
    with pytest.raises(EnvelopeError) as caught:
        a_sealer().unseal(record).decode()
    assert caught.value.reason is EnvelopeFault.UNDECODABLE


def test_unencodable_content_names_its_place() -> None:
    with pytest.raises(CodecError, match=r"cart\[0\]"):
        a_sealer().seal(a_record(), {"cart": [object()]})


def test_a_dump_of_an_encrypted_store_shows_no_data() -> None:
    sealed = a_sealer(cipher=AesGcmRing([AES])).seal(a_record(), {"name": "Ada Lovelace"})
    assert b"Ada" not in sealed
    assert b"name" not in sealed


@pytest.mark.parametrize(
    "wrong",
    [
        {"mac_keys": ()},
        {"mac_keys": (b"short",)},
        {"compress_over": 10},
        {"codecs": (Spy(),)},
    ],
    ids=["no key", "short key", "small limit", "two codecs of one code"],
)
def test_wrong_settings(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        a_sealer(**wrong)


def test_derived_keys_are_independent_and_fixed() -> None:
    secret = b"s" * 32
    keys = {derive(secret, purpose) for purpose in ("a", "b", "envelope", "")}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {32}
    assert derive(b"t" * 32, "a") not in keys
    # RFC 5869 with this package's salt: stored data depend on it
    assert derive(b"s" * 32, "envelope").hex() == (
        "ab85440e7f3677b1899fe1e9ef78d7ddfe4c7f14c0cbe74c9d465325b48a7fe4"
    )
