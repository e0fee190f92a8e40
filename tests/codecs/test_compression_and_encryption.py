"""Inflating is bounded, ciphertexts open with the right key only, settings errors name the mend."""

from __future__ import annotations

import base64
import secrets
import sys
import tracemalloc
import zlib
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from openclaw_middleware.codecs.compression import ZlibCompressor, ZstdCompressor
from openclaw_middleware.codecs.encryption import AesGcmRing
from openclaw_middleware.errors import CodecError, ConfigurationError, MissingDependency

each = pytest.mark.parametrize("codec", [ZlibCompressor(), ZstdCompressor()], ids=lambda c: c.name)


@each
@given(data=st.binary(min_size=1))
def test_compression_round_trip(codec: Any, data: bytes) -> None:
    assert codec.decompress(codec.compress(data), len(data)) == data
    with pytest.raises(CodecError):
        codec.decompress(codec.compress(data), len(data) - 1)


@each
@given(data=st.binary(max_size=100))
def test_foreign_bytes_are_a_codec_error(codec: Any, data: bytes) -> None:
    for head in (b"", codec.compress(b"x" * 99)[:6]):
        with pytest.raises(CodecError):
            codec.decompress(head + data, 1000)


@each
def test_cut_or_followed_data_are_refused(codec: Any) -> None:
    data = codec.compress(secrets.token_bytes(500))
    for wrong in (data[:-1], data[:50], data + b"x", data + data, b""):
        with pytest.raises(CodecError):
            codec.decompress(wrong, 1000)


@pytest.mark.parametrize("stated", [True, False])
def test_bombs_take_no_memory(stated: bool) -> None:
    size = 64 << 20
    writer = zstandard.ZstdCompressor(write_content_size=stated)
    bombs = (
        (ZstdCompressor(), writer.compress(bytes(size))),
        (ZlibCompressor(), zlib.compress(bytes(size))),
    )
    for codec, bomb in bombs:
        tracemalloc.start()
        with pytest.raises(CodecError):
            codec.decompress(bomb, 100_000)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000


def test_missing_libraries_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingDependency, match=r"openclaw-middleware\[zstd\]"):
        ZstdCompressor()
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(MissingDependency, match=r"openclaw-middleware\[crypto\]"):
        AesGcmRing([b"k" * 32])


def test_a_ring_opens_with_every_key_and_seals_with_the_first() -> None:
    one, two = b"1" * 32, b"2" * 32
    old, new = AesGcmRing([one]), AesGcmRing([two, one])
    sealed = old.seal(b"plain", b"bound")
    assert new.open(old.key_id, sealed, b"bound") == b"plain"
    assert new.key_id != old.key_id
    assert not old.knows(new.key_id)
    assert old.open(new.key_id, new.seal(b"plain", b"bound"), b"bound") is None
    assert old.open(old.key_id, sealed, b"other") is None
    assert old.open(old.key_id, b"short", b"bound") is None


def test_nonces_are_fresh_and_come_from_the_given_source() -> None:
    ring = AesGcmRing([b"k" * 32])
    assert len({ring.seal(b"same", b"")[:12] for _ in range(100)}) == 100
    fixed = AesGcmRing([b"k" * 32], random=lambda size: b"n" * size)
    assert fixed.seal(b"same", b"").startswith(b"n" * 12)


def test_a_key_may_be_bytes_hex_or_base64() -> None:
    raw = bytes(range(224, 256))
    texts = [
        raw.hex(),
        raw.hex().upper(),
        base64.urlsafe_b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        base64.b64encode(raw).decode() + "\n",
        secrets.token_urlsafe(32),
    ]
    ids = {AesGcmRing([key]).key_id for key in (raw, *texts[:-1])}
    assert len(ids) == 1
    AesGcmRing(texts[-1:])


@pytest.mark.parametrize(
    "keys", [[], ["tooshort"], [b"k" * 31], [b"k" * 33], ["ä" * 43], ["k" * 64], "k" * 43, [7]]
)
def test_other_keys_are_refused_with_the_mend(keys: Any) -> None:
    with pytest.raises(ConfigurationError, match="python -m openclaw_middleware new-key") as caught:
        AesGcmRing(keys)
    assert "kkk" not in str(caught.value)


def test_a_ring_shows_no_key() -> None:
    assert "kkk" not in repr(AesGcmRing([b"k" * 32]))
