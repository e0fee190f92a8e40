"""JSON with exact Python types, for stores that people read.

What JSON lacks is an object with one key that begins with "~" and names the type. A dict of the
application that looks like that gets one more "~". Everything is standard library.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from ..errors import CodecError
from .lowering import Lowering
from .values import GROUP_BY_TAG, SCALAR_BY_TAG, Group, Scalar

_MARK = "~"


class JsonCodec:
    """JSON text in UTF-8, keeping the same types as `MsgpackCodec` (see there), exactly.

    Other than there, exactly 64 levels of nesting are kept, and a nan loses its payload bits.
    Slower: every value is looked at in Python when it is written.
    """

    name = "json"
    code = 2

    def encode(self, value: Any) -> bytes:
        """Bytes for `value`; CodecError names the place of what cannot be kept."""
        lowered = _LOWERING.lower(value)
        try:
            # surrogates stay raw: escaped, two lone ones would be read back as one character
            return _ENCODER.encode(lowered).encode("utf-8", "surrogatepass")
        except RecursionError:
            raise CodecError("cannot keep the session data: nested too deeply") from None

    def decode(self, data: bytes) -> Any:
        """The value `data` were made from; CodecError when they are not JSON of ours."""
        try:
            return _DECODER.decode(data.decode("utf-8", "surrogatepass"))
        # whatever a parser or a constructor makes of bytes we did not write, it is one error
        except Exception as exc:
            raise CodecError(f"not valid session JSON: {exc}") from exc


def _revive(found: dict[str, Any]) -> Any:
    if len(found) != 1:
        return found
    ((key, content),) = found.items()
    if not key.startswith(_MARK):
        return found
    tag = key[1:]
    if tag.startswith(_MARK):
        return {tag: content}
    scalar = SCALAR_BY_TAG.get(tag)
    if scalar is not None:
        if type(content) is not str:
            raise ValueError(f"the content of {key!r} is not text")
        return scalar.read(content)
    if type(content) is not list:
        raise ValueError(f"the content of {key!r} is not a list")
    return GROUP_BY_TAG[tag].build(content)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class _JsonLowering(Lowering):
    free = frozenset({type(None), bool, str})

    def native(self, value: Any) -> bool:
        if type(value) is int:
            return -(1 << 63) <= value < 1 << 64
        if type(value) is float:
            return value - value == 0.0  # nan and infinities give nan
        return type(value) is str

    def scalar(self, form: Scalar, text: str) -> Any:
        return {_MARK + form.tag: text}

    def group(self, form: Group, items: list[Any]) -> Any:
        return {_MARK + form.tag: items}

    def mapping(self, lowered: dict[str, Any]) -> Any:
        if len(lowered) == 1:
            ((key, item),) = lowered.items()
            if key.startswith(_MARK):
                return {_MARK + key: item}
        return lowered


_LOWERING = _JsonLowering()
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
)
_DECODER = json.JSONDecoder(object_hook=_revive, parse_constant=_refuse_constant)
