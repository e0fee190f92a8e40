"""Let the application see newer data in the containers it holds, so that it can go on with them.

What it changes in its hands afterwards is a change of the session. No encoding, no merging here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .merge import MISSING, Same


def show(data: dict[str, Any], stored: dict[str, Any], same: Same) -> None:
    """Make `data` equal to `stored`; containers that lie in the same place stay the same objects.

    Args:
        stored: may share containers with `data`; not to be used afterwards.
        same: whether two values are equal in type and content.
    """
    for key in [key for key in data if key not in stored]:
        del data[key]
    busy = set(_containers(stored.values()))
    for key, value in stored.items():
        data[key] = _adopt(data.get(key, MISSING), value, busy, same)


def _containers(values: Iterable[Any]) -> Iterator[int]:
    """The ids of what could be changed in place, at any depth."""
    for value in values:
        if isinstance(value, dict | list | set):
            yield id(value)
        if isinstance(value, dict):
            yield from _containers(value.values())
        elif isinstance(value, list | tuple):
            yield from _containers(value)


def _adopt(held: Any, value: Any, busy: set[int], same: Same) -> Any:
    """`value`, written into the container the application may hold where the kinds agree.

    Args:
        busy: ids of the containers that are part of the new values; nothing is written into them.
    """
    if held is value or type(held) is not type(value) or id(held) in busy:
        return value
    if isinstance(held, dict):
        busy.add(id(held))
        fresh = {k: _adopt(held.get(k, MISSING), item, busy, same) for k, item in value.items()}
        held.clear()
        held.update(fresh)
    elif isinstance(held, list):
        busy.add(id(held))
        # Which element became which is only known of those that are as they were.
        alike = [
            one if id(one) not in busy and same(one, item) else item
            for one, item in zip(held, value, strict=False)
        ]
        held[:] = alike + value[len(alike) :]
    elif isinstance(held, set):
        busy.add(id(held))
        held.clear()
        held.update(value)
    else:
        return value
    return held
