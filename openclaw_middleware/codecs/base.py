"""What a codec is, and how deep a value may nest.

Only the protocol and its limits live here; no format, no library.
"""

from __future__ import annotations

from typing import Any, Protocol

MAX_DEPTH = 64
"""Containers inside one another that every codec keeps; deeper values may be refused."""


class Codec(Protocol):
    """Turns session data into bytes and back, exactly.

    `decode(encode(value))` has the same types and values in the same order. `encode` gives equal
    bytes for indistinguishable values within one process: sets are written in a fixed order, the
    order of a dict is part of its value.

    Attributes:
        name: what settings call it, such as "msgpack".
        code: 1..255, written into every envelope; never given to another format.
    """

    name: str
    code: int

    def encode(self, value: Any) -> bytes:
        """Bytes for `value`.

        Raises:
            CodecError: something inside cannot be kept; the message names where and its type.
        """
        ...

    def decode(self, data: bytes) -> Any:
        """The value `data` were made from, new objects each time.

        Raises:
            CodecError: `data` are not what `encode` writes. No other exception leaves.
        """
        ...
