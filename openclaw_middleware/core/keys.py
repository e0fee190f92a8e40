"""Independent keys from one secret.

Only the derivation lives here: which secrets there are is the settings' business.
"""

from __future__ import annotations

import hmac

_EXTRACT = b"openclaw_middleware.keys.1"


def derive(secret: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose; knowing them tells nothing of `secret` or of other purposes.

    HKDF (RFC 5869) with SHA-256 and one block of output. `secret` needs its full strength
    already: this is no password hash.
    """
    extracted = hmac.digest(_EXTRACT, secret, "sha256")
    return hmac.digest(extracted, purpose.encode() + b"\x01", "sha256")
