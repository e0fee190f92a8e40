"""Timed rotation of the secret: offer the derived successor, bring the offered one into force.

The old secret stays good until its successor is first presented, plus the grace; which secret is
which is judged in `verdict`. A slow answer never puts a retired secret back into the browser, where
it would be taken for a stolen one. The record's data and version are not touched.
"""

from __future__ import annotations

from dataclasses import replace

from . import events as ev
from .contract import Live
from .exchange import Exchange
from .record import Record
from .steps import Steps
from .token import Token
from .verdict import Standing, judge


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
    elif _took_long(x):
        found = yield from x.trip("load", record.id)
        if not isinstance(found, Live):
            x.withhold()
            return
        current = found.record
    if token.secret_hash in (current.next_hash, current.secret_hash):
        x.send_token(token, record, postponable=True)


def send_again(x: Exchange, record: Record, *, postponable: bool = False) -> Steps[None]:
    """Send the browser the token it has, or the one that came into force while this request was
    under way; neither where the session has gone on without it."""
    token = x.token
    if token is not None and _may_rotate(x, record):
        found = yield from x.trip("load", record.id)
        if not isinstance(found, Live):
            x.withhold()
            return
        token = _in_force(x, token, found.record, found.now)
    if token is not None:
        x.send_token(token, record, postponable=postponable)


def _took_long(x: Exchange) -> bool:
    """Whether what was to be handed out when the request began may itself be retired by now: the
    one after it is offered an interval later at the earliest, less the grace it came in by."""
    rules = x.rules
    return x.desk.monotonic() - x.began >= (rules.rotation_interval or 0.0) - rules.rotation_grace


def _may_rotate(x: Exchange, record: Record) -> bool:
    offered = record.next_hash is not None or record.generation > 0
    return offered or x.rules.rotation_interval is not None


def _in_force(x: Exchange, token: Token, record: Record, now: float) -> Token | None:
    verdict = judge(token, record, now, x.rules, x.desk.rotation_keys)
    if verdict.standing is Standing.GRACE:
        return verdict.hand_out
    if verdict.standing in (Standing.CURRENT, Standing.SUCCESSOR):
        # A successor that is merely due was not offered, so nobody would know it.
        return verdict.hand_out if verdict.hand_out and record.next_hash else token
    return None


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
