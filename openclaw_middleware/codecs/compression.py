"""Compressors for large sessions; inflating is bounded before memory is taken.

Only whole-buffer compression lives here; when it is used is the envelope's decision.
"""

from __future__ import annotations

import zlib
from types import ModuleType
from typing import TYPE_CHECKING

from ..core.envelope import EnvelopeError, EnvelopeFault
from ..errors import CodecError, MissingDependency

if TYPE_CHECKING:
    import zstandard


class ZlibCompressor:
    """zlib from the standard library; `level` 1 (fast) to 9 (small)."""

    name = "zlib"
    code = 1

    def __init__(self, level: int = 6) -> None:
        self._level = level

    def compress(self, data: bytes) -> bytes:
        """`data`, usually shorter."""
        return zlib.compress(data, self._level)

    def decompress(self, data: bytes, max_size: int) -> bytes:
        """The bytes `data` were made from.

        Raises:
            CodecError: malformed, cut short, followed by something, or larger than `max_size`.
        """
        inflater = zlib.decompressobj()
        try:
            plain = inflater.decompress(data, max_size + 1)
        except zlib.error as exc:
            raise CodecError(f"not valid zlib data: {exc}") from exc
        if len(plain) > max_size:
            raise _bomb(max_size)
        if not inflater.eof or inflater.unused_data:
            raise CodecError("not valid zlib data: cut short, or followed by something else")
        return plain


class ZstdCompressor:
    """zstd from the `zstandard` library (extra "zstd"); `level` 1 (fast) to 22 (small).

    Raises:
        MissingDependency: zstandard is not installed.
    """

    name = "zstd"
    code = 2

    def __init__(self, level: int = 3) -> None:
        self._zstd = _zstandard()
        self._level = level

    def compress(self, data: bytes) -> bytes:
        """`data`, usually shorter; the frame states its content's size."""
        # zstandard's compressors must not be shared between threads
        made: bytes = self._zstd.ZstdCompressor(level=self._level).compress(data)
        return made

    def decompress(self, data: bytes, max_size: int) -> bytes:
        """The bytes `data` were made from.

        Raises:
            CodecError: malformed, cut short, followed by something, or larger than `max_size`.
        """
        error: type[zstandard.ZstdError] = self._zstd.ZstdError
        try:
            # the library takes as much memory as the frame states, so that is checked first;
            # a frame that does not state it says 2**64 - 1
            size = self._zstd.get_frame_parameters(data).content_size
            if size > max_size:
                raise _bomb(max_size)
            if size == 0:
                # the library reads "stated to be empty" as "not stated"
                raise CodecError("not valid zstd data: an empty frame")
            plain: bytes = self._zstd.ZstdDecompressor().decompress(data, allow_extra_data=False)
        except error as exc:
            raise CodecError(f"not valid zstd data: {exc}") from exc
        return plain


def _zstandard() -> ModuleType:
    try:
        import zstandard
    except ImportError as exc:
        raise MissingDependency("zstandard", "zstd") from exc
    return zstandard


def _bomb(max_size: int) -> EnvelopeError:
    return EnvelopeError(
        EnvelopeFault.TOO_LARGE, f"compressed data inflate beyond {max_size:,} bytes"
    )
