"""Make, word, check the shape of, hash and succeed tokens; signing is done elsewhere.

A token is `<tag>.<random>.<generation>.<secret>`: the first two are the public session id, the
secret is known to the browser alone and stored as a hash. Nothing here reads a store or a clock.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass

Random = Callable[[int], bytes]

ID_BYTES = 16
SECRET_BYTES = 32
TAG_BYTES = 12
# Walking further than this from a retired generation is never needed by an honest client.
MAX_GENERATIONS = 100_000

_TOKEN = re.compile(
    r"(?P<id>(?:[A-Za-z0-9_-]{16})?\.[A-Za-z0-9_-]{22})"
    r"\.(?P<generation>0|[1-9][0-9]{0,8})\.(?P<secret>[A-Za-z0-9_-]{43})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Token:
    """What the cookie carries, before signing. `repr` hides the secret."""

    id: str
    generation: int
    secret: str

    def __repr__(self) -> str:
        return f"Token({self.id}, generation={self.generation})"

    @property
    def text(self) -> str:
        """The token as it is signed."""
        return f"{self.id}.{self.generation}.{self.secret}"

    @property
    def secret_hash(self) -> bytes:
        """What a store may know of the secret."""
        return hashlib.sha256(self.secret.encode("ascii")).digest()


def parse(text: str) -> Token | None:
    """The token of that shape, or None."""
    match = _TOKEN.fullmatch(text)
    if match is None:
        return None
    return Token(match["id"], int(match["generation"]), match["secret"])


def mint(tag: str, random: Random) -> Token:
    """A token nobody can guess: 128 random bits of id, 256 of secret (ASVS 7.2.3)."""
    return Token(f"{tag}.{_text(random(ID_BYTES))}", 0, _text(random(SECRET_BYTES)))


def user_tag(key: bytes, user_id: str) -> str:
    """The shard of a user: 96 bits of HMAC-SHA256, so that ids do not show the user id."""
    digest = hmac.digest(key, user_id.encode("utf-8", "surrogatepass"), "sha256")
    return _text(digest[:TAG_BYTES])


def successor(rotation_key: bytes, token: Token) -> Token:
    """The token of the next generation.

    Derived, not drawn: every request that rotates the same token offers the same successor, so
    lost responses, retries and second tabs cannot fall apart.
    """
    text = f"{token.id}.{token.generation}.{token.secret}".encode("ascii")
    secret = _text(hmac.digest(rotation_key, text, "sha256"))
    return Token(token.id, token.generation + 1, secret)


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
