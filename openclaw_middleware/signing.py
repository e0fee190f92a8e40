"""Sign tokens and tell ours from forgeries, by itsdangerous; several keys may verify.

The only module that knows the signature's form. It never sees a store or a record.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from itsdangerous import BadSignature, Signer

from .core.token import Token, parse

# The version belongs to the token's format: a new format gets a new salt, and old cookies
# become anonymous rather than misread.
SALT = b"openclaw-middleware.token.1"

# base64 of 32 bytes as it is written; decoders also take "+" for "-", blanks, and any last bits.
_SIGNATURE = re.compile(r"\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", re.ASCII)
_WIDTH = 44


class _Signer(Signer):
    """Derives each key once: the salt never changes, and every request verifies."""

    def __init__(self, keys: list[bytes]) -> None:
        self._derived: dict[bytes | str, bytes] = {}
        super().__init__(keys, salt=SALT, key_derivation="hmac", digest_method=hashlib.sha256)

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        key = self.secret_keys[-1] if secret_key is None else secret_key
        derived = self._derived.get(key)
        if derived is None:
            derived = self._derived[key] = super().derive_key(key)
        return derived


class TokenSigner:
    """The first key signs, all keys verify.

    Args:
        keys: secret keys, the current one first, then the fallbacks.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        # itsdangerous takes the oldest key first and signs with the last one.
        self._signer = _Signer([key.encode("utf-8") for key in reversed(keys)])

    def sign(self, token: Token) -> str:
        """The cookie's value."""
        return self._signer.sign(token.text).decode("ascii")

    def verify(self, value: str) -> Token | None:
        """The token if one of our keys signed exactly this text, else None; never raises."""
        if _SIGNATURE.fullmatch(value[-_WIDTH:]) is None:
            return None
        try:
            text = self._signer.unsign(value.encode("ascii")).decode("ascii")
        except (BadSignature, UnicodeError):
            return None
        return parse(text)
