"""What the store verbs answer, and what a store declares about itself.

Malformed, unknown, ended and conflicting are values; an exception means that the engine failed.
Only types live here: the verbs themselves are in `stores.base`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .record import EndReason, Record


@dataclass(frozen=True, slots=True)
class Live:
    """The record is alive on both clocks and not below its user's not-before.

    `now` is the store's clock (epoch seconds) at the moment of the comparison.
    """

    record: Record
    now: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The record existed and is over: a tombstone, an expired record, or one below not-before.

    Attributes:
        ended_at: epoch seconds; for an expired record its deadline.
        successor: id of the record that replaced it, if any.
        fresh: this very call ended it (only `end` sets it).
    """

    id: str
    reason: EndReason
    ended_at: float
    now: float
    user_id: str | None = None
    successor: str | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """No such record, malformed id included; the answer to a guess and to a purged record.

    Attributes:
        fault: what is under this id is no record of ours, and why; empty: nothing is.
    """

    now: float
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Saved:
    """The write took place (now, or earlier under the same write id).

    Attributes:
        version: version the record has after the write.
        ended: ids ended in the same step to keep the user's session limit.
    """

    version: int
    now: float
    ended: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another writer was first; `record` is the current live record, nothing was written."""

    record: Record
    now: float


@dataclass(frozen=True, slots=True)
class Exists:
    """`create` or `succeed` met a record or tombstone under the new id; nothing was written."""

    now: float


@dataclass(frozen=True, slots=True)
class LimitReached:
    """The user has as many live sessions as allowed, and the limit's action is "reject"."""

    now: float


@dataclass(frozen=True, slots=True)
class Superseded:
    """The user's not-before is at or after the new record's `valid_from`; nothing was written."""

    now: float


Loaded = Live | Ended | Missing
SaveResult = Saved | Conflict | Ended | Missing
TouchResult = Live | Ended | Missing
CreateResult = Saved | Exists | LimitReached | Superseded
SucceedResult = Saved | Conflict | Exists | Ended | Missing | LimitReached | Superseded
EndResult = Ended | Missing


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` live sessions for the user, kept atomically with the creation.

    `end_oldest` ends the sessions with the earliest `last_active_at` (reason `limit`) until the
    new one fits; `reject` refuses the new one.
    """

    count: int
    action: Literal["end_oldest", "reject"] = "end_oldest"


@dataclass(frozen=True, slots=True)
class UserEnd:
    """Answer of `end_user`.

    Attributes:
        not_before: epoch seconds; every record of the user with `valid_from` at or before it is
            dead from now on.
        ended: how many live sessions the call found, counted up to 1,000.
        own: the session `own_id` was one of them.
    """

    not_before: float
    ended: int
    now: float
    own: bool = False


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Some live records of a user, newest `valid_from` unspecified; `cursor` is None at the end."""

    records: tuple[Record, ...]
    now: float
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class StoreStats:
    """What a store can say of its contents without scanning; None where it cannot."""

    live: int | None
    tombstones: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a store keeps of the promises, declared rather than emulated.

    Attributes:
        name: short name such as "redis".
        shared: several processes see the same records.
        durability: in words, what an acknowledged write survives.
        clock: "store" when deadlines are judged by the engine's clock, else "application".
        atomic_succeed: `succeed` is one step even when old and new lie in different shards;
            otherwise it reserves, ends and activates (never both alive).
        index: sessions can be listed by user.
        limit: "at most N sessions" is atomic with the login.
        announces: whoever listens is told of sessions that end, by any process; without it, who
            wants to know has to ask.
    """

    name: str
    shared: bool
    durability: str
    clock: Literal["store", "application"]
    atomic_succeed: bool = True
    index: bool = True
    limit: bool = True
    announces: bool = False
