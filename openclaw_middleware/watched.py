"""One session that is held open: who holds it, and what is known of its time. Asks nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from .core.desk import Desk
from .core.record import EndReason, Record


class Holder(Protocol):
    """Who holds a session open."""

    def session_ended(self, reason: EndReason) -> None:
        """The session is over; said once, and nothing is said afterwards."""

    def session_used(self, last_active_at: float) -> None:
        """Activity was written down; epoch seconds of it, by the store's clock."""


@dataclass(slots=True, eq=False)
class Watched:
    """One session that is held open.

    Attributes:
        record: as it was last seen.
        deadline, absolute: by the monotonic clock, when it may have ended, and when it has in any
            case that is known of.
        touch_from: when activity is worth writing down again.
        used_at: activity that waits for being written down.
        holders: who holds it.
    """

    record: Record
    deadline: float = 0.0
    absolute: float = 0.0
    touch_from: float = 0.0
    used_at: float | None = None
    holders: set[Holder] = field(default_factory=set)

    def see(self, record: Record, now: float, desk: Desk) -> None:
        """Note the record as the store has it.

        Args:
            now: the store's time.
        """
        rules = desk.rules
        here = desk.monotonic() - now
        self.record = record
        self.deadline = here + rules.not_after(record)
        self.absolute = here + record.started + rules.limits_of(record).absolute
        self.touch_from = here + record.last_active_at + rules.touch_every(record)
