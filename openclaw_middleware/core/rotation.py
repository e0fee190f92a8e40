"""Timed rotation of the secret: offer the derived successor, bring the offered one into force.

The old secret stays good until its successor is first presented, plus the grace; which secret is
which is judged in `verdict`. The record's data and version are not touched.
"""

from __future__ import annotations

from dataclasses import replace

from . import events as ev
from .contract import Live
from .exchange import Exchange
from .record import Record
from .steps import Steps


def rotate(x: Exchange, record: Record) -> Steps[None]:
    """Promote what was presented, or hand out (and, the first time, offer) what is due."""
    if x.promote:
        x.promote = False
        result = yield from x.trip("rotate", record.id, generation=record.generation)
        _take_over(x, record, result, promoted=True)
        return
    token = x.hand_out
    if token is None:
        return
    current = record
    if token.generation == record.generation + 1 and record.next_hash is None:
        result = yield from x.trip(
            "rotate", record.id, generation=record.generation, next_hash=token.secret_hash
        )
        _take_over(x, record, result, promoted=False)
        if not isinstance(result, Live):
            return
        current = result.record
    if token.secret_hash in (current.next_hash, current.secret_hash):
        x.send_token(token, record, postponable=True)


def _take_over(x: Exchange, record: Record, result: object, *, promoted: bool) -> None:
    if not isinstance(result, Live):
        x.withhold()
        return
    current = result.record
    x.state.record = replace(
        record,
        generation=current.generation,
        secret_hash=current.secret_hash,
        next_hash=current.next_hash,
        previous_hash=current.previous_hash,
        promoted_at=current.promoted_at,
    )
    x.emit(
        ev.Rotated(
            session_id=record.id,
            user_id=record.user_id,
            generation=current.generation,
            promoted=promoted,
        )
    )
