"""Build the records a commit writes, and seal their content.

What a new identity inherits from the old record is decided here and nowhere else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .exchange import Exchange
from .policy import CUSTOM, CUSTOM_PERSISTENT, Policy
from .record import Record
from .state import Draft


def new_record(x: Exchange, draft: Draft, now: float, old: Record | None) -> Record:
    """The record a draft asks for, not sealed yet.

    A mere new id keeps times, policy and limits of the old record: only a sign-in starts the
    absolute clock anew. Everything else begins now, under the policy that was asked for.

    Args:
        now: epoch seconds, the store's clock.
        old: the record it succeeds, if any.
    """
    state = x.writing
    fresh = Record(
        id=draft.token.id,
        secret_hash=draft.token.secret_hash,
        version=1,
        write_id=write_id(x),
        created_at=now,
        authenticated_at=None,
        valid_from=now,
        last_active_at=now,
        idle_timeout=0.0,
        absolute_timeout=0.0,
        policy="default",
        user_id=draft.user_id,
        payload=b"",
        generation=draft.token.generation,
        promoted_at=now,
    )
    inherits = old is not None and not draft.login and not state.detached
    if inherits and old is not None and old.user_id == draft.user_id:
        kept = replace(
            fresh,
            created_at=old.created_at,
            authenticated_at=old.authenticated_at,
            valid_from=old.valid_from,
            idle_timeout=old.idle_timeout,
            absolute_timeout=old.absolute_timeout,
            policy=old.policy,
        )
        return under_policy(x, kept, state.policy) if state.policy else kept
    if draft.login:
        verified = _verified_at(x, draft)
        fresh = replace(fresh, authenticated_at=verified, valid_from=verified)
        state.meta["claims"] = draft.claims or {}
    else:
        # What was said of a sign-in goes with the identity.
        state.meta.pop("claims", None)
    if x.request.client:
        state.meta["client"] = x.request.client
    return under_policy(x, fresh, state.policy or draft.policy or "default")


def under_policy(x: Exchange, record: Record, name: str) -> Record:
    """The record with the limits of a policy, or with its own under the default's."""
    policies = x.rules.policies
    if name in (CUSTOM, CUSTOM_PERSISTENT):
        default = policies["default"]
        idle = x.writing.custom_idle or record.idle_timeout or default.idle
        absolute = default.absolute
        if x.writing.custom_absolute is not None:
            started = (
                record.created_at if record.authenticated_at is None else record.authenticated_at
            )
            left = x.at(x.began) + x.writing.custom_absolute - started
            absolute = min(absolute, max(left, 0.001))
        policy = Policy(min(idle, absolute), absolute)
    else:
        policy = policies[name]
    return replace(record, policy=name, idle_timeout=policy.idle, absolute_timeout=policy.absolute)


def sealed(x: Exchange, record: Record, data: dict[str, Any]) -> Record:
    """The record with its content sealed into the payload."""
    payload = x.desk.sealer.seal(record, [data, x.writing.meta])
    return replace(record, payload=payload)


def write_id(x: Exchange) -> str:
    """A fresh id by which a repeated write recognises itself."""
    return x.desk.random(9).hex()


def _verified_at(x: Exchange, draft: Draft) -> float:
    """When the credentials were checked, by the store's clock."""
    if draft.verified_at is None:
        return x.at(x.began)
    now = x.at(x.desk.monotonic())
    return min(now, round(now - (x.desk.wall() - draft.verified_at), 6))
