"""Come to terms with other writers of the same session: merge, give way, give up in time.

A conflict hands us the current record, so nothing here loads. One contest per commit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import CodecError, StoreConflict
from . import events as ev
from .changes import TrackedData
from .exchange import Exchange
from .record import Record
from .steps import Steps

BACKOFF_AFTER = 3
BACKOFF_STEP = 0.002


class Contest:
    """Counts the attempts of one commit and bounds them.

    Args:
        pause: waits a number of seconds, in the driver's colour.

    Attributes:
        data: what is being written, None for the data at hand.
    """

    def __init__(self, exchange: Exchange, pause: Callable[[float], Any]) -> None:
        self.x = exchange
        self.pause = pause
        self.began = exchange.desk.monotonic()
        self.attempts = 0
        self.data: TrackedData | None = None

    def lost(self, record: Record) -> Steps[None]:
        """Another writer was first: give way, longer after several times.

        Raises:
            StoreConflict: the commit deadline has passed.
        """
        x = self.x
        self.attempts += 1
        waited = x.desk.monotonic() - self.began
        if waited >= x.rules.commit_deadline:
            raise StoreConflict(
                f"session {record.id} was changed by others for {waited:.1f} s without a pause",
                operation="save",
            )
        if self.attempts > BACKOFF_AFTER:
            spread = x.desk.random(1)[0] / 255
            yield self.pause(BACKOFF_STEP * min(self.attempts, 10) * spread)
        # A conflict is not slowness of the store: it has its own deadline.
        x.spent = 0.0

    def merged(self, current: Record, *, yield_to_theirs: bool = False) -> dict[str, Any]:
        """This request's changes on top of the current record; collisions are told as one event.

        Raises:
            StoreConflict: the current record is not one we can read, so it must not be replaced.
        """
        x = self.x
        read = x.reader(current) if x.genuine(current) else None
        try:
            if read is None:
                raise CodecError("its tag does not verify")
            theirs, meta = read()
        except CodecError as error:
            raise StoreConflict(f"session {current.id} was overwritten: {error}") from error
        data = self.data or x.writing.data
        if data is x.writing.data:
            x.writing.meta = meta
        paths: list[str] = []
        merged = data.replay(theirs, paths.append, yield_to_theirs=yield_to_theirs)
        if paths and yield_to_theirs:
            x.emit(
                ev.ChangesDropped(
                    session_id=current.id,
                    user_id=current.user_id,
                    cause="the successor wrote them",
                    keys=tuple(paths),
                )
            )
        elif paths:
            x.emit(ev.Collided(session_id=current.id, user_id=current.user_id, paths=tuple(paths)))
        return merged


def refresh(x: Exchange, record: Record) -> bool:
    """Stand on a newer version of the record, with this request's changes on top of it; False if
    it cannot be read."""
    state = x.writing
    read = x.reader(record)
    if read is None:
        return False
    if state.detached:
        # Somebody logged out meanwhile: what is at hand are not its data.
        state.record = record
        return True
    paths: list[str] = []
    state.data.advance(lambda: read()[0], paths.append)
    if paths:
        x.emit(ev.Collided(session_id=record.id, user_id=record.user_id, paths=tuple(paths)))
    state.meta = read()[1]
    state.record = record
    return True
