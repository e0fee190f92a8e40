"""The sealed payload of a record: verified first, then decrypted, inflated and decoded.

    byte 0      revision of this layout, 1
    byte 1      codec
    byte 2      compression, 0 for none
    byte 3      kind of key: 1 HMAC-SHA256, others are ciphers
    bytes 4-7   id of the key
    then        HMAC: 32 bytes of tag, body;  cipher: what its `seal` returned

The tag covers the eight header bytes and the binding of the record, so an envelope opens only in
the record it was made for. Codecs, ciphers and compressors are handed in; none is imported.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from ..errors import CodecError, ConfigurationError
from .record import Record

REVISION = 1
_HMAC = 1
_HEADER = struct.Struct(">BBBB4s")
_TAG_SIZE = 32
_BINDING = "openclaw_middleware.binding.1"
_KEY_ID = b"openclaw_middleware.mac-key-id.1"


class EnvelopeFault(StrEnum):
    """Why an envelope does not open; the visitor is anonymous whichever it is."""

    MALFORMED = "malformed"
    UNKNOWN_REVISION = "unknown_revision"
    UNKNOWN_KEY = "unknown_key"
    BAD_TAG = "bad_tag"
    UNKNOWN_CODEC = "unknown_codec"
    TOO_LARGE = "too_large"
    UNDECODABLE = "undecodable"


class EnvelopeError(CodecError):
    """An envelope cannot be made or opened; `reason` says why."""

    def __init__(self, reason: EnvelopeFault, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Codec(Protocol):
    """What the envelope needs of a codec; `codecs.base.Codec` says the rest."""

    name: str
    code: int

    def encode(self, value: Any) -> bytes: ...

    def decode(self, data: bytes) -> Any: ...


class Compressor(Protocol):
    """Makes bytes shorter; `code` is 1..255 and never given to another format."""

    name: str
    code: int

    def compress(self, data: bytes) -> bytes: ...

    def decompress(self, data: bytes, max_size: int) -> bytes:
        """The bytes, never more than `max_size`; CodecError for more or for malformed data."""
        ...


class Cipher(Protocol):
    """Authenticated encryption with a ring of keys; `kind` is 2..255.

    `key_id` (4 bytes) names the key that seals.
    """

    kind: int
    key_id: bytes

    def knows(self, key_id: bytes) -> bool:
        """Whether a key of that id is in the ring."""
        ...

    def seal(self, plain: bytes, bound: bytes) -> bytes:
        """`plain` encrypted under the first key; `bound` is authenticated beside it."""
        ...

    def open(self, key_id: bytes, sealed: bytes, bound: bytes) -> bytes | None:
        """The plain bytes, or None when any bit of `sealed` or `bound` differs."""
        ...


class Opened:
    """A verified payload, not decoded yet."""

    __slots__ = ("_body", "_codec", "_compressor", "_max_plain")

    def __init__(
        self, body: bytes, codec: Codec, compressor: Compressor | None, max_plain: int
    ) -> None:
        self._body = body
        self._codec = codec
        self._compressor = compressor
        self._max_plain = max_plain

    def decode(self) -> Any:
        """The content, new objects at each call.

        Raises:
            EnvelopeError: `undecodable`, or `too_large` when it inflates beyond the limit.
        """
        plain = self._body
        try:
            if self._compressor is not None:
                plain = self._compressor.decompress(plain, self._max_plain)
            if len(plain) > self._max_plain:
                raise _too_large("session data", len(plain), self._max_plain)
            return self._codec.decode(plain)
        except EnvelopeError:
            raise
        except CodecError as exc:
            raise EnvelopeError(EnvelopeFault.UNDECODABLE, str(exc)) from exc


class Sealer:
    """Makes envelopes with the current codec, compressor and key; opens those of older ones.

    Args:
        codec: writes new envelopes.
        codecs: further codecs that can be read.
        mac_keys: 32 bytes or more each; the first seals, all open. Independent of cipher keys.
        cipher: encrypts new envelopes; None writes plain ones with an HMAC.
        read_ciphers: further ciphers that can be opened.
        compress_over: bytes; larger content is compressed if that makes it shorter.
        compressor: writes new envelopes.
        decompressors: further compressors that can be read.
        max_sealed: bytes of a whole envelope, made or opened.
        max_plain: bytes of encoded content, made or inflated.
    """

    def __init__(
        self,
        *,
        codec: Codec,
        codecs: Iterable[Codec] = (),
        mac_keys: Sequence[bytes],
        cipher: Cipher | None = None,
        read_ciphers: Iterable[Cipher] = (),
        compress_over: int | None = None,
        compressor: Compressor | None = None,
        decompressors: Iterable[Compressor] = (),
        max_sealed: int = 1 << 20,
        max_plain: int = 8 << 20,
    ) -> None:
        if not mac_keys or any(len(key) < 32 for key in mac_keys):
            raise ConfigurationError("sealing needs at least one key of 32 bytes or more")
        if compress_over is not None and compressor is None:
            raise ConfigurationError("compress_over is set, but no compressor is")
        self._codec = codec
        self._codecs = _by_code((codec, *codecs))
        self._mac_keys: dict[bytes, tuple[bytes, ...]] = {}
        for key in mac_keys:
            key_id = hmac.digest(key, _KEY_ID, "sha256")[:4]
            self._mac_keys[key_id] = (*self._mac_keys.get(key_id, ()), key)
        self._mac_key = mac_keys[0]
        self._mac_key_id = hmac.digest(self._mac_key, _KEY_ID, "sha256")[:4]
        self._cipher = cipher
        ciphers = (*(() if cipher is None else (cipher,)), *read_ciphers)
        self._ciphers: dict[int, tuple[Cipher, ...]] = {}
        for each in ciphers:
            self._ciphers[each.kind] = (*self._ciphers.get(each.kind, ()), each)
        self._compress_over = compress_over
        self._compressor = compressor
        writer = () if compressor is None else (compressor,)
        self._compressors = _by_code((*writer, *decompressors))
        self._max_sealed = max_sealed
        self._max_plain = max_plain

    def seal(self, record: Record, content: Any) -> bytes:
        """An envelope that opens in `record` alone (its payload is not looked at).

        Raises:
            CodecError: something in `content` cannot be kept; the message names where.
            EnvelopeError: `too_large`.
        """
        body = self._codec.encode(content)
        if len(body) > self._max_plain:
            raise _too_large("session data", len(body), self._max_plain)
        compression = 0
        if self._compressor is not None and self._compress_over is not None:
            shorter = self._compressor.compress(body) if len(body) > self._compress_over else body
            if len(shorter) < len(body):
                body, compression = shorter, self._compressor.code
        bound = binding(record)
        if self._cipher is not None:
            header = self._header(compression, self._cipher.kind, self._cipher.key_id)
            sealed = header + self._cipher.seal(body, header + bound)
        else:
            header = self._header(compression, _HMAC, self._mac_key_id)
            sealed = header + _tag(self._mac_key, header, bound, body) + body
        if len(sealed) > self._max_sealed:
            raise _too_large("sealed session", len(sealed), self._max_sealed)
        return sealed

    def unseal(self, record: Record) -> Opened:
        """The record's payload, verified and decrypted; nothing in it is parsed yet.

        Raises:
            EnvelopeError: any fault but `undecodable`.
        """
        sealed = record.payload
        if len(sealed) > self._max_sealed:
            raise _too_large("sealed session", len(sealed), self._max_sealed)
        # an envelope of a newer revision may be shorter than ours
        if sealed and sealed[0] != REVISION:
            raise EnvelopeError(
                EnvelopeFault.UNKNOWN_REVISION, f"envelope of revision {sealed[0]}, not {REVISION}"
            )
        if len(sealed) < _HEADER.size:
            raise EnvelopeError(EnvelopeFault.MALFORMED, "the envelope is cut short")
        header, rest = sealed[: _HEADER.size], sealed[_HEADER.size :]
        _, codec_code, compression, kind, key_id = _HEADER.unpack(header)
        try:
            bound = binding(record)
        except ValueError as exc:
            raise EnvelopeError(EnvelopeFault.MALFORMED, f"malformed record: {exc}") from exc
        if kind == _HMAC:
            body = self._verify(key_id, header, bound, rest)
        else:
            body = self._decrypt(kind, key_id, header, bound, rest)
        codec = self._codecs.get(codec_code)
        if codec is None:
            raise _unknown("codec", codec_code)
        compressor = self._compressors.get(compression)
        if compression and compressor is None:
            raise _unknown("compression", compression)
        return Opened(body, codec, compressor, self._max_plain)

    def _header(self, compression: int, kind: int, key_id: bytes) -> bytes:
        return _HEADER.pack(REVISION, self._codec.code, compression, kind, key_id)

    def _verify(self, key_id: bytes, header: bytes, bound: bytes, rest: bytes) -> bytes:
        keys = self._mac_keys.get(key_id)
        if keys is None:
            raise _unknown_key()
        tag, body = rest[:_TAG_SIZE], rest[_TAG_SIZE:]
        for key in keys:
            if hmac.compare_digest(tag, _tag(key, header, bound, body)):
                return body
        raise _bad_tag()

    def _decrypt(self, kind: int, key_id: bytes, header: bytes, bound: bytes, rest: bytes) -> bytes:
        ciphers = [each for each in self._ciphers.get(kind, ()) if each.knows(key_id)]
        if not ciphers:
            raise _unknown_key()
        for cipher in ciphers:
            plain = cipher.open(key_id, rest, header + bound)
            if plain is not None:
                return plain
        raise _bad_tag()


def binding(record: Record) -> bytes:
    """What an envelope is tied to, unambiguous and the same however a store keeps its numbers.

    Covers id, user id, created and authenticated times (microseconds), policy and both limits;
    not what changes while the data stay: version, secrets, activity.

    Raises:
        ValueError: a time is nan.
    """
    user, since = record.user_id, record.authenticated_at
    text = (
        f"{_BINDING}|{len(record.id)}:{record.id}|"
        f"{'-' if user is None else f'{len(user)}:{user}'}|"
        f"{_micros(record.created_at)}|{'-' if since is None else _micros(since)}|"
        f"{len(record.policy)}:{record.policy}|"
        f"{_micros(record.idle_timeout)}|{_micros(record.absolute_timeout)}|"
    )
    return text.encode("utf-8", "surrogatepass")


def _micros(seconds: float) -> int | str:
    try:
        return round(seconds * 1e6)
    except OverflowError:
        return "inf" if seconds > 0 else "-inf"


def _tag(key: bytes, header: bytes, bound: bytes, body: bytes) -> bytes:
    length = len(bound).to_bytes(4, "big")
    return hmac.digest(key, b"".join((header, length, bound, body)), "sha256")


class _Coded(Protocol):
    code: int


C = TypeVar("C", bound=_Coded)


def _by_code(parts: Iterable[C]) -> Mapping[int, C]:
    found: dict[int, C] = {}
    for part in parts:
        if not 1 <= part.code <= 255:
            raise ConfigurationError(f"{part!r}: code must be 1 to 255, not {part.code}")
        other = found.setdefault(part.code, part)
        if type(other) is not type(part):
            raise ConfigurationError(f"{other!r} and {part!r} have the same code {part.code}")
    return found


def _too_large(what: str, size: int, limit: int) -> EnvelopeError:
    return EnvelopeError(
        EnvelopeFault.TOO_LARGE, f"{what} of {size:,} bytes, over the limit of {limit:,}"
    )


def _unknown(what: str, code: int) -> EnvelopeError:
    return EnvelopeError(
        EnvelopeFault.UNKNOWN_CODEC, f"{what} {code} of the envelope is not configured"
    )


def _unknown_key() -> EnvelopeError:
    return EnvelopeError(EnvelopeFault.UNKNOWN_KEY, "the envelope was sealed with an unknown key")


def _bad_tag() -> EnvelopeError:
    return EnvelopeError(
        EnvelopeFault.BAD_TAG, "the envelope was altered, or belongs to another record"
    )
