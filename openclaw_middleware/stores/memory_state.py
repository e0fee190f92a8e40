"""What lies in this process's memory; the verbs over it are in `memory`."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from ..core.contract import Ended
from ..core.record import EndReason, Record


@dataclass(slots=True)
class MemoryState:
    """What both colours of one memory store share."""

    max_entries: int = 100_000
    lock: threading.RLock = field(default_factory=threading.RLock)
    records: dict[str, Record] = field(default_factory=dict)
    tombstones: OrderedDict[str, tuple[Ended, float]] = field(default_factory=OrderedDict)
    users: dict[str, set[str]] = field(default_factory=dict)
    not_before: dict[str, tuple[float, EndReason]] = field(default_factory=dict)
    latest: dict[str, float] = field(default_factory=dict)
    earlier_writes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    listeners: set[Callable[[str], None]] = field(default_factory=set)

    def announce(self, name: str) -> None:
        """Tell who listens that this session, or this user's, ended."""
        for listener in tuple(self.listeners):
            listener(name)
