"""Durations whose unit stands in the key, and the nearest name to a misspelt one.

Python arguments may be seconds or a timedelta; a file, the environment and a framework's settings
say the unit in the key, so that `30` can never mean two things. No setting is validated here.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import MappingProxyType

UNITS: Mapping[str, float] = MappingProxyType(
    {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0}
)

# Every duration among the settings, with the unit people think of it in.
DURATIONS: Mapping[str, str] = MappingProxyType(
    {
        "idle_timeout": "minutes",
        "absolute_timeout": "hours",
        "touch_interval": "seconds",
        "rotation_interval": "minutes",
        "rotation_grace": "seconds",
        "store_timeout": "seconds",
        "socket_poll_interval": "seconds",
        "ended_retention": "hours",
        "tombstone_retention": "hours",
        "heartbeat_interval": "seconds",
        "warning_lead": "seconds",
        "absolute_warning_lead": "seconds",
    }
)

_WORDED = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhd])[a-z]*\s*", re.IGNORECASE)


def split_unit(key: str) -> tuple[str, str | None]:
    """`("idle_timeout", "minutes")` for `idle_timeout_minutes`; no unit for any other key."""
    name, _, unit = key.rpartition("_")
    return (name, unit) if name in DURATIONS and unit in UNITS else (key, None)


def with_units(keys: Iterable[str]) -> list[str]:
    """The keys as a file may spell them: each duration once per unit."""
    return [
        spelling
        for key in keys
        for spelling in ([f"{key}_{unit}" for unit in UNITS] if key in DURATIONS else [key])
    ]


def as_duration(name: str, unit: str | None, value: object) -> timedelta | None:
    """What `name_unit: value` means.

    Raises:
        ValueError: no unit, or not a number; the message names the right key.
    """
    if value is None or (unit is None and isinstance(value, timedelta)):
        return value
    if unit is None:
        usual = f"{name}_{DURATIONS[name]}"
        others = ", ".join(f"_{other}" for other in UNITS if other != DURATIONS[name])
        raise ValueError(f"needs its unit in the key: {_spelt(name, value) or usual} (or {others})")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(
            f"must be a plain number of {unit}, not {brief(value)}"
            + (f": write {better}" if (better := _spelt(name, value)) else "")
        )
    try:
        if math.isfinite(value):
            return timedelta(seconds=value * UNITS[unit])
    except OverflowError:
        pass
    raise ValueError(f"must be a finite number of {unit}, not {brief(value)}")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name `word` was most likely meant to be."""
    found = difflib.get_close_matches(word, list(known), 1, 0.6)
    return found[0] if found else None


def brief(value: object) -> str:
    """`repr`, short enough for a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _spelt(name: str, value: object) -> str | None:
    """`idle_timeout_minutes: 30` for "30m": what the writer probably meant."""
    match = _WORDED.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    unit = next(unit for unit in UNITS if unit[0] == match[2].lower())
    return f"{name}_{unit}: {match[1]}"
