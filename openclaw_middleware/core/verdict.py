"""Is this token good for this record? Generations, grace, theft: pure judgement, no I/O.

Timed rotation changes the secret only. The successor is derived from the secret it follows, so
it can be recomputed from any retired one: that is how a genuine old token is told from a guess.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise

from .policy import Rules
from .record import Record
from .token import MAX_GENERATIONS, Token, successor

# Over so many generations a change of the key is looked for: each one could be where it was.
MIXED_GENERATIONS = 100


class Standing(Enum):
    """What a presented token is, compared with the record it names."""

    CURRENT = auto()
    SUCCESSOR = auto()
    """The offered successor, presented for the first time: it comes into force."""
    GRACE = auto()
    """The one before, still within the grace: the client is handed the current one again."""
    THEFT = auto()
    UNKNOWN = auto()
    """Right id, wrong secret: anonymous, and nothing else happens."""
    WENT_BACK = auto()
    """Newer than the record: the store lost writes it had acknowledged."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`hand_out`: the token the client should have instead of the one it presented."""

    standing: Standing
    hand_out: Token | None = None


def judge(
    token: Token, record: Record, now: float, rules: Rules, rotation_keys: Sequence[bytes]
) -> Verdict:
    """How the token stands to the record at `now` (epoch seconds, the store's clock)."""
    ahead = token.generation - record.generation
    if ahead == 0:
        if not hmac.compare_digest(token.secret_hash, record.secret_hash):
            return Verdict(Standing.UNKNOWN)
        return Verdict(Standing.CURRENT, _due(token, record, now, rules, rotation_keys))
    if ahead == 1 and record.next_hash is not None:
        known = hmac.compare_digest(token.secret_hash, record.next_hash)
        return Verdict(Standing.SUCCESSOR if known else Standing.UNKNOWN)
    if ahead > 0:
        return Verdict(Standing.WENT_BACK)
    current = _descendant(token, record, rotation_keys)
    if current is None:
        return Verdict(Standing.UNKNOWN)
    if ahead == -1 and now < record.promoted_at + rules.rotation_grace:
        return Verdict(Standing.GRACE, current)
    return Verdict(Standing.THEFT)


def _due(
    token: Token, record: Record, now: float, rules: Rules, rotation_keys: Sequence[bytes]
) -> Token | None:
    """The successor to hand out: one is due, or already offered to a request beside this one."""
    if record.next_hash is not None:
        for key in rotation_keys:
            following = successor(key, token)
            if hmac.compare_digest(following.secret_hash, record.next_hash):
                return following
        return None
    if rules.rotation_interval is None or now < record.promoted_at + rules.rotation_interval:
        return None
    return successor(rotation_keys[0], token)


def _descendant(token: Token, record: Record, rotation_keys: Sequence[bytes]) -> Token | None:
    """The record's current token if the presented one is its genuine ancestor, else None."""
    behind = record.generation - token.generation
    if behind > MAX_GENERATIONS:
        return None
    for key in rotation_keys:
        found = _walk(token, key, record)
        if found is not None:
            return found
    if behind > MIXED_GENERATIONS:
        return None
    # The secret key changed on the way: so far the older one, from here on the newer.
    for newer, older in pairwise(rotation_keys):
        walked = token
        for _ in range(behind - 1):
            walked = successor(older, walked)
            found = _walk(walked, newer, record)
            if found is not None:
                return found
    return None


def _walk(token: Token, key: bytes, record: Record) -> Token | None:
    """The record's current token if one key leads from this one to it, else None."""
    while token.generation < record.generation:
        token = successor(key, token)
    return token if hmac.compare_digest(token.secret_hash, record.secret_hash) else None
