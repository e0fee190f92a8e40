"""Between records and what the Redis scripts take and answer. No I/O, no client library.

Replies are lists of bytes; what cannot be understood is answered as missing, never adopted.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ..core.contract import (
    Conflict,
    Ended,
    Exists,
    Limit,
    LimitReached,
    Live,
    Missing,
    Saved,
    Superseded,
)
from ..core.record import EndReason, Record

Answer = Live | Ended | Missing | Saved | Conflict | Exists | LimitReached | Superseded | None

_REFUSALS: dict[bytes, type[Exists] | type[LimitReached] | type[Superseded]] = {
    b"exists": Exists,
    b"limit": LimitReached,
    b"superseded": Superseded,
}

# The server builds all functions of a script anew for each call, so the hot path carries few.
_WITHOUT_WRITING = frozenset({"now", "load", "rotate", "sessions_of"})

# Longer ids, and those with characters of Cluster hash tags, blanks or beyond ASCII, are not ours.
ID_LIMIT = 256
_FOREIGN = frozenset("{}") | {chr(code) for code in range(0x21)} | {"\x7f"}


@dataclass(frozen=True, slots=True)
class Script:
    text: str
    sha: str


@cache
def script(name: str) -> Script:
    """A script with what belongs in front of it; the sha is what the server calls it by."""
    folder = files(__package__) / "redis_scripts"
    front = ("prelude",) if name in _WITHOUT_WRITING else ("prelude", "writing")
    text = "\n".join((folder / f"{part}.lua").read_text("utf-8") for part in (*front, name))
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def well_formed(session_id: str) -> bool:
    return (
        len(session_id) <= ID_LIMIT
        and session_id.isascii()
        and "." in session_id
        and not session_id.endswith(".")
        and _FOREIGN.isdisjoint(session_id)
    )


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def number(value: float) -> str:
    """Text that gives the very same float back; empty for no limit."""
    return "" if value == math.inf else repr(float(value))


def is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and text.isascii()
    except ValueError:
        return False


def limit_args(limit: Limit | None) -> tuple[str, str]:
    return ("", "") if limit is None else (str(limit.count), limit.action)


def pairs(record: Record) -> list[Any]:
    """Fields and values of a new record, for HSET; None is written as no field."""
    fields: list[Any] = [
        *("v", record.version, "w", record.write_id, "c", repr(float(record.created_at))),
        *("f", repr(float(record.valid_from)), "i", repr(float(record.idle_timeout))),
        *("b", repr(float(record.absolute_timeout)), "o", encode(record.policy)),
        *("g", record.generation, "s", record.secret_hash, "p", record.payload),
    ]
    if record.authenticated_at is not None:
        fields += ("a", repr(float(record.authenticated_at)))
    if record.user_id is not None:
        fields += ("u", encode(record.user_id))
    if record.next_hash is not None:
        fields += ("n", record.next_hash)
    if record.previous_hash is not None:
        fields += ("h", record.previous_hash)
    return fields


def record(session_id: str, raw: list[Any]) -> Record:
    """The record whose fields, in the order of the scripts, are `raw`.

    Raises:
        TypeError, ValueError: a field is damaged.
    """
    version, write_id, created, authenticated, valid_from, last, idle, absolute = raw[:8]
    policy, user, generation, secret_hash, next_hash, previous_hash, promoted, payload = raw[8:16]
    if payload is None:
        raise ValueError("the payload is gone")
    return Record(
        id=session_id,
        secret_hash=secret_hash,
        version=int(version),
        write_id=decode(write_id),
        created_at=float(created),
        authenticated_at=None if authenticated is None else float(authenticated),
        valid_from=float(valid_from),
        last_active_at=float(last),
        idle_timeout=float(idle),
        absolute_timeout=float(absolute),
        policy=decode(policy),
        user_id=None if user is None else decode(user),
        payload=payload,
        generation=int(generation),
        next_hash=next_hash,
        previous_hash=previous_hash,
        promoted_at=float(promoted),
    )


def _reason(raw: bytes | None) -> EndReason:
    try:
        return EndReason(decode(raw or b""))
    except ValueError:
        return EndReason.GONE


def answer(session_id: str, raw: list[Any]) -> Answer:
    """What a script answered about one session; None for what it never says to that verb."""
    what, now = raw[0], float(raw[1])
    if what == b"live":
        try:
            return Live(record(session_id, raw[2]), now)
        except (TypeError, ValueError):
            return Missing(now, "a field is damaged")
    if what == b"saved":
        return Saved(int(raw[2]), now, tuple(member.decode() for member in raw[3]))
    if what == b"missing":
        return Missing(now, decode(raw[2]) if len(raw) > 2 else "")
    if what == b"ended":
        user, successor = raw[4], raw[5]
        return Ended(
            id=session_id,
            reason=_reason(raw[2]),
            ended_at=float(raw[3]),
            now=now,
            user_id=None if user is None else decode(user),
            successor=None if successor is None else successor.decode(),
            fresh=raw[6] is not None,
        )
    if what == b"conflict":
        try:
            return Conflict(record(session_id, raw[2]), now)
        except (TypeError, ValueError):
            return Missing(now, "a field is damaged")
    refusal = _REFUSALS.get(what)
    return None if refusal is None else refusal(now)
