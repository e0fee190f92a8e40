"""Helpers for tests: of applications that use sessions, and of stores written by others.

Importing this package needs no pytest; only the conformance suite does, and it is loaded when it
is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .clients import login, session_of, set_clock
from .clock import Clock
from .faults import Counting, Fault, Gate, LostReplies, wrap

if TYPE_CHECKING:
    from .conformance import StoreConformance

__all__ = [
    "Clock",
    "Counting",
    "Fault",
    "Gate",
    "LostReplies",
    "StoreConformance",
    "login",
    "session_of",
    "set_clock",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name == "StoreConformance":
        from .conformance import StoreConformance

        return StoreConformance
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
