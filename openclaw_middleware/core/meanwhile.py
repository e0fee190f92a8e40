"""What the application does while a write is on its way to the store.

A request may have several tasks: one saves and waits, another one goes on with the session. What
that one changes or wants in between is not part of the write, and comes on top of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .merge import Report
from .record import EndReason, Record
from .state import Content, State

_INTENTS = (
    "draft",
    "ending",
    "policy",
    "custom_idle",
    "custom_absolute",
    "keep_alive",
    "save_empty",
)


class Departure:
    """The state as it was when a write left.

    Args:
        apart: what is written was merged before, and is thus not the data at hand.

    Attributes:
        data: the tracked data it was made of.
        policy: name of the policy it moves the limits to, None for no change.
        detached: the data did not derive from the record.
    """

    def __init__(self, state: State, *, apart: bool = False) -> None:
        self.data = state.data
        self.detached = state.detached
        self._meta = state.meta
        self._intents = {name: getattr(state, name) for name in _INTENTS}
        self._mark = self.data.mark(apart=apart)

    @property
    def policy(self) -> str | None:
        """See the class."""
        found: str | None = self._intents["policy"]
        return found

    def merged(self, state: State) -> None:
        """It leaves once more, merged with what others wrote; the data at hand are part of it."""
        if state.data is self.data:
            self._meta = state.meta
        self._mark = self.data.mark(apart=True)

    def as_it_was(self, state: State, sent: Callable[[], Content]) -> State:
        """A copy of the state without what was done since."""
        before = state.twin(self.data.fork(self._mark, lambda: sent()[0]), self._meta)
        before.detached = self.detached
        for name, value in self._intents.items():
            setattr(before, name, value)
        return before

    def outdated(self, state: State) -> bool:
        """Somebody signed in or out since: it is not what the application wants any more."""
        wanted = self._intents
        return not (
            state.decoded
            and state.data is self.data
            and state.draft == wanted["draft"]
            and state.ending == wanted["ending"]
        )

    def _since(self, state: State) -> dict[str, Any]:
        """What was wanted since."""
        return {
            name: value
            for name, then in self._intents.items()
            if (value := getattr(state, name)) != then
        }

    def ended(self, state: State) -> None:
        """The record was ended instead: what was done since is that of a visitor without one."""
        since = self._since(state)
        state.lose_record(keep_data=state.detached or not self._mark.values)
        for name, value in since.items():
            setattr(state, name, value)

    def arrive(
        self,
        state: State,
        record: Record,
        read: Callable[[], Content],
        stored: dict[str, Any],
        collided: Report,
    ) -> None:
        """The write took place: make the record the ground of what was done since.

        Args:
            stored: its data.
            collided: called with the path of each change that met another one.
        """
        since = self._since(state)
        left = state.data if state.decoded and state.data is not self.data else None
        self.data.land(self._mark, stored, lambda: read()[0], collided)
        state.meta = self._meta
        state.stand_on(record, read, self.data)
        if left is not None:
            state.leave(left)
            if since.get("draft") is None:
                state.ending = EndReason.SIGNED_OUT
        for name, value in since.items():
            setattr(state, name, value)
