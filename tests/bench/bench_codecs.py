"""Microseconds per encode and decode, beside `json.dumps` and `json.loads` in the same run.

    python -m tests.bench.bench_codecs

Libraries that are not installed are left out.
"""

from __future__ import annotations

import importlib
import json
import timeit
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from openclaw_middleware.codecs.compression import ZlibCompressor, ZstdCompressor
from openclaw_middleware.codecs.encryption import AesGcmRing
from openclaw_middleware.codecs.json import JsonCodec
from openclaw_middleware.codecs.msgpack import MsgpackCodec
from openclaw_middleware.core.envelope import Sealer
from openclaw_middleware.core.record import Record


def a_cart(lines: int) -> dict[str, Any]:
    return {
        "user": {"name": "Ada Lovelace", "email": "ada@example.org"},
        "cart": [
            {"sku": f"A-{i:05d}", "qty": i % 4 + 1, "price": 1999 + i, "title": f"A fine thing {i}"}
            for i in range(lines)
        ],
        "seen": list(range(2 * lines)),
        "flags": {"a": True, "b": False, "c": None},
    }


SIGNED_IN = {
    "_user_id": "42",
    "_backend": "django.contrib.auth.backends.ModelBackend",
    "csrf": "x" * 64,
    "lang": "de",
    "visits": 3,
}
SESSIONS: dict[str, dict[str, Any]] = {
    "signed in": SIGNED_IN,
    "cart, 15 lines": a_cart(15),
    "cart, 60 lines": a_cart(60),
    "with types": {
        **SIGNED_IN,
        "_flashes": [("message", "Saved"), ("error", "Not so")],
        "at": datetime(2026, 11, 21, 6, 7, 8, tzinfo=UTC),
        "price": Decimal("19.90"),
        "order": UUID(int=7),
        "seen": {1, 2, 3},
    },
    "int keys": {**SIGNED_IN, "qty": {i: i for i in range(20)}},
}


def micros(call: Callable[[], object]) -> float:
    count, _ = timeit.Timer(call).autorange()
    return min(timeit.repeat(call, number=max(count // 4, 1), repeat=9)) / max(count // 4, 1) * 1e6


def row(name: str, size: int, encode: float, decode: float, base: tuple[float, float]) -> None:
    print(
        f"  {name:26}{size:6} B  encode {encode:7.2f} us ({encode / base[0]:4.2f} x json)"
        f"  decode {decode:7.2f} us ({decode / base[1]:4.2f} x json)"
    )


def compare(title: str, value: dict[str, Any]) -> None:
    print(title)
    text = json.dumps(value, default=str)
    base = (micros(lambda: json.dumps(value, default=str)), micros(lambda: json.loads(text)))
    row("json.dumps (default=str)" if "types" in title else "json", len(text), *base, base)
    for codec in (MsgpackCodec(), JsonCodec()):
        data = codec.encode(value)
        encode = micros(lambda c=codec: c.encode(value))  # type: ignore[misc]
        decode = micros(lambda c=codec, d=data: c.decode(d))  # type: ignore[misc]
        row(f"our {codec.name}", len(data), encode, decode, base)
    if title.startswith(("signed", "cart")):
        libraries(value, base)


def libraries(value: Any, base: tuple[float, float]) -> None:
    """The bare libraries, as strict as each can be."""
    data = MsgpackCodec().encode(value)
    for name in ("ormsgpack", "msgpack", "msgspec.msgpack"):
        try:
            library: Any = importlib.import_module(name)
        except ImportError:
            continue
        if name == "msgspec.msgpack":
            encode, decode = library.Encoder().encode, library.Decoder().decode
        elif name == "msgpack":
            encode = library.Packer(strict_types=True).pack
            decode = library.unpackb
        else:
            encode, decode = library.packb, library.unpackb
        times = micros(lambda e=encode: e(value)), micros(lambda d=decode: d(data))
        row(f"bare {name}", len(data), *times, base)


def envelope(value: Any) -> None:
    record = Record("t.id", b"", 1, "w", 1.5e9, 1.5e9, 1.5e9, 1.5e9, 1800, 28800, "p", "42", b"")
    print("envelope around 'cart, 15 lines', beside its codec")
    shapes: dict[str, dict[str, Any]] = {
        "HMAC": {},
        "HMAC, zlib": {"compressor": ZlibCompressor(), "compress_over": 0},
        "HMAC, zstd": {"compressor": ZstdCompressor(), "compress_over": 0},
        "AES-256-GCM": {"cipher": AesGcmRing([b"k" * 32])},
    }
    codec = MsgpackCodec()
    data = codec.encode(value)
    plain = micros(lambda: codec.encode(value)), micros(lambda: codec.decode(data))
    for name, shape in shapes.items():
        sealer = Sealer(codec=codec, mac_keys=(b"m" * 32,), **shape)
        sealed = sealer.seal(record, value)
        opened = Record(*(getattr(record, field) for field in Record.__slots__[:12]), sealed)
        seal = micros(lambda s=sealer: s.seal(record, value)) - plain[0]  # type: ignore[misc]
        unseal = micros(lambda s=sealer, r=opened: s.unseal(r))  # type: ignore[misc]
        whole = micros(lambda s=sealer, r=opened: s.unseal(r).decode())  # type: ignore[misc]
        print(
            f"  {name:12}{len(sealed):6} B  seal +{seal:6.2f} us  unseal {unseal:6.2f} us"
            f"  unseal and decode {whole:6.2f} us"
        )


if __name__ == "__main__":
    for title, value in SESSIONS.items():
        compare(title, value)
    envelope(SESSIONS["cart, 15 lines"])
