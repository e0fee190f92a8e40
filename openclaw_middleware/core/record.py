"""The stored record, the reasons a session ends, and the arithmetic of its two clocks.

Times are epoch seconds by the store's clock, rounded to the microsecond. Everything a request
needs before it looks at the data lies outside the payload, so an untouched session is never
decoded. No I/O, no clock reads, no encoding of payloads here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EndReason(StrEnum):
    """Why a session ended; one vocabulary for stores, events, heartbeat, managers and audit."""

    IDLE = "idle"
    ABSOLUTE = "absolute"
    SIGNED_OUT = "signed_out"
    REVOKED = "revoked"
    REPLACED = "replaced"
    LIMIT = "limit"
    THEFT = "theft"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Record:
    """One session as a store keeps it while it lives.

    Attributes:
        id: `<tag>.<random>`; public, useless without the secret. The tag is empty when anonymous.
        secret_hash: SHA-256 of the secret of `generation`.
        version: 1 when created, +1 with each save. Touch and rotate leave it alone.
        write_id: id of the last write, so that a retry recognises its own success.
        created_at, authenticated_at: epoch seconds; the latter is None when anonymous.
        valid_from: epoch seconds, compared with the user's not-before: the record is live only
            while it is later. For a login, the moment the password was checked.
        last_active_at: epoch seconds of the last touch or active save; written by the store.
        idle_timeout, absolute_timeout: seconds, as stored with the record.
        policy: name of the lifetime policy the limits came from.
        user_id: None when anonymous.
        payload: sealed envelope; opaque to stores.
        generation: counts timed rotations of the secret.
        next_hash: hash of the offered successor secret, None while none is offered.
        previous_hash: hash of the secret of `generation - 1`.
        promoted_at: epoch seconds when the current generation was first presented (or created).
    """

    id: str
    secret_hash: bytes
    version: int
    write_id: str
    created_at: float
    authenticated_at: float | None
    valid_from: float
    last_active_at: float
    idle_timeout: float
    absolute_timeout: float
    policy: str
    user_id: str | None
    payload: bytes
    generation: int = 0
    next_hash: bytes | None = None
    previous_hash: bytes | None = None
    promoted_at: float = 0.0

    @property
    def tag(self) -> str:
        """The user's shard: the part of the id before the dot, empty when anonymous."""
        return tag_of(self.id)

    @property
    def started(self) -> float:
        """Epoch seconds from which the absolute limit counts: the sign-in, else the creation."""
        return self.created_at if self.authenticated_at is None else self.authenticated_at

    @property
    def idle_deadline(self) -> float:
        """Epoch seconds at which the session ends unless it is used before."""
        return self.last_active_at + self.idle_timeout

    @property
    def absolute_deadline(self) -> float:
        """Epoch seconds at which the session ends however much it is used."""
        return self.started + self.absolute_timeout

    @property
    def deadline(self) -> float:
        """The earlier of the two deadlines."""
        return min(self.idle_deadline, self.absolute_deadline)

    def expired(self, now: float) -> EndReason | None:
        """Which clock has run out at `now` (a deadline belongs to the dead side), or None."""
        if now >= self.absolute_deadline:
            return EndReason.ABSOLUTE
        if now >= self.idle_deadline:
            return EndReason.IDLE
        return None


def tag_of(session_id: str) -> str:
    """The part of a session id before the dot."""
    return session_id.partition(".")[0]
