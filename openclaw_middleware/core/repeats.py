"""What a request did to a value, as something that can be done again to whatever is stored then.

`apply` calls its function again; a change in place is merged. No keys are looked up in here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from .merge import MISSING, Report, Same, merge

Change = Callable[[Any], Any]
# One thing done to a value; MISSING stands for none, as argument and result.
Repeat = Callable[[Any, Report], Any]


def applied(change: Change, value: Any, default: Any, key: str) -> Any:
    """`change` of a copy of the value, or of the default if there is none.

    Raises:
        TypeError: it returned None.
    """
    result = change(deepcopy(default if value is MISSING else value))
    if result is None:
        raise TypeError(
            f"the function given to apply({key!r}) returned None: it must return the new value"
        )
    return result


def again(change: Change, default: Any, key: str) -> Repeat:
    """The call of an `apply`."""

    def repeat(value: Any, _: Report) -> Any:
        if value is MISSING and default is MISSING:
            return MISSING
        return applied(change, value, default, key)

    return repeat


@dataclass(frozen=True, slots=True)
class InPlace:
    """A change in place, from `base` to `mine`, to be merged into what is there then."""

    key: str
    base: Any
    mine: Any
    same: Same

    def __call__(self, value: Any, collided: Report) -> Any:
        return merge(self.base, self.mine, value, same=self.same, collided=collided, path=self.key)


def repeated(done: Sequence[Repeat], value: Any, collided: Report) -> Any:
    """The value after the same things were done to it; MISSING if that leaves nothing."""
    for repeat in done:
        value = repeat(value, collided)
    return value


def ignore(path: str) -> None:
    """The report of a collision that was, or will be, told elsewhere."""
