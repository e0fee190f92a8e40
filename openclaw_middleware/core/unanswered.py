"""A write whose answer was lost: it may have taken place, or not.

The request goes on as if it had. Before it writes anything else, the same write is sent again under
the same write id, by which the store knows it; what was done since comes on top of that. So nothing
is appended, counted or signed in twice. Which write it is, is decided in `saving`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .exchange import Exchange
    from .meanwhile import Departure
    from .record import Record
    from .state import Content, Draft, State


@dataclass(frozen=True, slots=True)
class Unanswered:
    """What it takes to send a write again.

    Attributes:
        state: as it was, with the changes that were to be written.
        sent: the new state of the record, with the write id.
        data: its data.
        ground: what was to be changed or replaced; None: nothing, the record is new.
        draft: the new identity; None for a mere save.
        since: when its first answer was lost, of the desk's monotonic clock.
    """

    state: State
    sent: Record
    data: dict[str, Any]
    ground: Record | None
    draft: Draft | None
    since: float


def assume(
    x: Exchange,
    departure: Departure,
    sent: Record,
    data: dict[str, Any],
    ground: Record | None,
    draft: Draft | None,
) -> None:
    """Go on as if the write had taken place, and remember that nobody said so."""
    state = x.writing
    unseal = x.desk.sealer.unseal

    def read() -> Content:
        content, meta = unseal(sent).decode()
        return content, meta

    before = departure.as_it_was(state, read)
    version = sent.version if draft is not None else sent.version + 1
    departure.arrive(state, replace(sent, version=version), read, data, lambda path: None)
    state.unanswered = Unanswered(before, sent, data, ground, draft, x.desk.monotonic())
