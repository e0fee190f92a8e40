"""Numbers and headers as people read them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from openclaw_middleware import SessionInfo

from .place import TOUCH_INTERVAL

MINUTE, HOUR, DAY = 60, 3600, 86400
RING = 2 * math.pi * 52
"""Circumference of a clock's ring in the drawing."""


@dataclass(frozen=True)
class Clock:
    """One of the two clocks: what is left of the whole, in seconds."""

    name: str
    left: float
    whole: float
    means: str

    @property
    def dash(self) -> str:
        """How much of the ring is drawn."""
        share = min(1.0, self.left / self.whole)
        return f"{share * RING:.1f} {RING:.1f}"


def clocks(info: SessionInfo) -> list[Clock]:
    """Both clocks as they stand after this request, none for a session that is not stored."""
    if (
        info.now is None
        or info.last_active_at is None
        or info.idle_deadline is None
        or info.absolute_deadline is None
        or info.created_at is None
    ):
        return []
    started = info.created_at if info.authenticated_at is None else info.authenticated_at
    whole = info.idle_deadline - info.last_active_at
    age = info.now - info.last_active_at
    # A due touch goes out after the response, so this visit has already wound the clock up.
    idle = whole if age >= TOUCH_INTERVAL else whole - age
    absolute = info.absolute_deadline - info.now
    began = "your sign-in" if info.authenticated_at is not None else "the first note"
    return [
        Clock("Idle", min(idle, absolute), whole, "starts anew with every visit"),
        Clock("Absolute", absolute, info.absolute_deadline - started, f"runs from {began}"),
    ]


def clock(seconds: float) -> str:
    """Seconds as 29:58, 7:59:58 or 13 d 23 h."""
    left = math.ceil(seconds)
    days, hours = divmod(left // HOUR, 24)
    if days:
        return f"{days} d {hours} h"
    minutes = f"{left % HOUR // MINUTE:02d}:{left % MINUTE:02d}"
    return f"{hours}:{minutes}" if hours else minutes


def ago(seconds: float) -> str:
    """An age in the largest unit that fits."""
    for name, unit in (("d", DAY), ("h", HOUR), ("min", MINUTE)):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name} ago"
    return "just now"


def browser(agent: str | None) -> str:
    """What a `User-Agent` most probably is. Good enough for a list of one's own devices."""
    agent = agent or ""
    names = (
        ("Edg", "Edge"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"),
        ("curl", "curl"),
    )  # fmt: skip
    systems = (
        ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"),
        ("Mac", "Mac"), ("Linux", "Linux"),
    )  # fmt: skip
    name = next((shown for mark, shown in names if mark in agent), "A browser")
    system = next((shown for mark, shown in systems if mark in agent), None)
    return f"{name} on {system}" if system else name
