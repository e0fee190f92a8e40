"""What an operation on the session's data must do to whatever is stored by then.

Written down independently of the core's merge: one small rule per kind of operation, each value
unique, so that it can be seen whether, where and how often an operation took place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MISSING = "<missing>"
Data = dict[str, Any]


@dataclass(frozen=True)
class Ending:
    """Equal to every list that ends so: what it held before was as the application saw it."""

    last: list[str]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and other[-len(self.last) :] == self.last


@dataclass
class Effect:
    """Everything one request has done to one key since its last commit.

    Attributes:
        kind: "set", "delete", "push", "mark", "nest" or "add"; a key is used in one way only.
        base: the stored value the request started from, or MISSING.
        mine: for "set" the value; for "push" and "mark" the added values; for "nest" the new
            members; for "add" the number of increments.
        whole: for "push": the whole list was assigned, as frameworks do with flashes.
        was: what the application saw before it changed anything.
        landed: how many writes carried it.
        known: the stored value it was last told of, by a fresh look in mid-request.
    """

    kind: str
    base: Any
    was: Any
    mine: Any = None
    whole: bool = False
    landed: int = 0
    known: Any = field(init=False)

    def __post_init__(self) -> None:
        self.known = self.base

    def outcomes(self, stored: Any) -> list[Any]:
        """The values that may be stored after this took place on `stored`."""
        gone = stored == MISSING
        if self.kind == "set":
            return [self.mine]
        if self.kind == "delete":
            return [MISSING]
        if self.kind == "add":
            return [(0 if gone else stored) + self.mine]
        if self.kind == "push":
            if not gone:
                return [stored + self.mine]
            return [Ending(self.mine)] if self.whole or self.base == MISSING else [MISSING]
        if not gone:
            return [stored | self.mine]
        return [self.mine] if self.base == MISSING else [MISSING]

    def collides(self, stored: Any) -> bool:
        """Whether somebody else changed the very value since this request read it."""
        if self.kind == "add" or stored == self.base:
            return False
        if self.kind == "set":
            return stored != self.mine
        if self.kind == "delete":
            return stored != MISSING
        return stored == MISSING

    def visible(self, stored: Any) -> bool:
        """Whether taking place on `stored` changes anything."""
        return self.outcomes(stored) != [stored]


@dataclass
class Journal:
    """The effects of one request since its last commit, by key."""

    effects: dict[str, Effect] = field(default_factory=dict)

    @property
    def landed(self) -> int:
        """How many changes took place."""
        return sum(effect.landed for effect in self.effects.values())

    def explain(self, before: Data, after: Data, *, following: bool = False) -> list[str]:
        """What is wrong with a write of this request that turned `before` into `after`.

        Args:
            following: `before` is of a successor, whose own changes come first.
        """
        wrong = []
        for key in sorted({*before, *after, *self.effects}):
            old, new = before.get(key, MISSING), after.get(key, MISSING)
            effect = self.effects.get(key)
            if effect is None:
                if old != new:
                    wrong.append(f"{key}: {old!r} became {new!r}, which this request never touched")
                continue
            allowed = effect.outcomes(old)
            if following and old not in (effect.base, effect.known):
                allowed = [old]
            if new not in allowed:
                wrong.append(f"{key}: {old!r} became {new!r}, expected one of {allowed!r}")
            elif new != old or not (effect.landed or effect.visible(old)):
                effect.landed += 1
        return wrong
