"""AES-256-GCM with a ring of keys, for stores that must not hold readable data.

Only the cipher lives here; what is bound to the data is the envelope's decision.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..errors import ConfigurationError, MissingDependency

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEY_ID = b"openclaw_middleware.aes-256-gcm-key-id.1"
_NONCE_SIZE = 12
_KEY_SIZE = 32


class AesGcmRing:
    """The first key seals, all open; nonces are random, so a key serves 2**32 writes.

    Args:
        keys: 32 bytes each, as bytes or as hexadecimal or base64url text.
        random: gives that many unpredictable bytes; injected by tests only.

    Raises:
        ConfigurationError: no key, or one that is not 32 bytes; the message shows no key.
        MissingDependency: cryptography is not installed.
    """

    kind = 2

    def __init__(
        self,
        keys: Sequence[bytes | str],
        *,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        if isinstance(keys, (str, bytes)) or not keys:
            raise ConfigurationError("encryption_keys must be a list of one or more keys. " + _MEND)
        raw = [_key_bytes(key, place) for place, key in enumerate(keys, 1)]
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as exc:
            raise MissingDependency("cryptography", "crypto") from exc
        self._invalid: type[Exception] = InvalidTag
        self._random = random
        self._sealing = AESGCM(raw[0])
        self.key_id = _key_id(raw[0])
        self._ring: dict[bytes, tuple[AESGCM, ...]] = {}
        for key in raw:
            key_id = _key_id(key)
            self._ring[key_id] = (*self._ring.get(key_id, ()), AESGCM(key))

    def __repr__(self) -> str:
        return f"<AesGcmRing of {sum(map(len, self._ring.values()))} keys>"

    def knows(self, key_id: bytes) -> bool:
        """Whether a key of that id is in the ring."""
        return key_id in self._ring

    def seal(self, plain: bytes, bound: bytes) -> bytes:
        """Nonce, ciphertext and tag; `bound` is authenticated beside `plain`."""
        nonce = self._random(_NONCE_SIZE)
        return nonce + self._sealing.encrypt(nonce, plain, bound)

    def open(self, key_id: bytes, sealed: bytes, bound: bytes) -> bytes | None:
        """The plain bytes, or None when any bit of `sealed` or `bound` differs."""
        nonce, rest = sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:]
        if len(nonce) < _NONCE_SIZE:
            return None
        for key in self._ring.get(key_id, ()):
            try:
                return key.decrypt(nonce, rest, bound)
            except self._invalid:
                continue
        return None


_MEND = "Make one with: python -m openclaw_middleware new-key"


def _key_id(key: bytes) -> bytes:
    return hmac.digest(key, _KEY_ID, "sha256")[:4]


def _key_bytes(key: bytes | str, place: int) -> bytes:
    found = _decoded(key.strip()) if isinstance(key, str) else key
    if not isinstance(found, bytes):
        raise ConfigurationError(
            f"encryption_keys: key {place} is neither hexadecimal nor base64url text. {_MEND}"
        )
    if len(found) != _KEY_SIZE:
        raise ConfigurationError(
            f"encryption_keys: key {place} has {len(found)} bytes, AES-256 needs {_KEY_SIZE}. "
            f"{_MEND}"
        )
    return found


def _decoded(text: str) -> bytes | None:
    try:
        if len(text) == 2 * _KEY_SIZE:
            return bytes.fromhex(text)
        # "+" and "/" as well: `openssl rand -base64 32` writes them
        folded = text.rstrip("=").replace("-", "+").replace("_", "/")
        return base64.b64decode(folded + "=" * (-len(folded) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
