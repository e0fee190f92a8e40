"""What the end of a request (or `save()`) writes, and in which order.

Rules of this room: save, touch and rotate never create; what narrows (logout, revoke) always
runs, what widens (login, regenerate, keep_alive, use_policy) and the data do not run when the
request failed; a conflict is merged and tried again; nothing is reported that did not happen.
DESIGN: commit once per request, before the first byte leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..errors import (
    CodecError,
    LoginRefused,
    LoginSuperseded,
    SessionEnded,
    SessionLimitReached,
    StoreConflict,
    StoreError,
)
from . import events as ev
from .contract import (
    Conflict,
    Ended,
    Exists,
    Limit,
    LimitReached,
    Live,
    Missing,
    Saved,
    Superseded,
)
from .exchange import Exchange
from .policy import CUSTOM, CUSTOM_PERSISTENT, Policy
from .record import EndReason, Record, tag_of
from .state import Draft
from .steps import Steps

# A chain of successors longer than this within one request does not come from people.
MAX_CHAIN = 8
BACKOFF_AFTER = 3


class Commit:
    """One commit of one exchange.

    Args:
        failed: the handler failed (status >= 500 or an exception): only narrowing intents run.
        handshake: the response is a WebSocket handshake, on which secrets are never rotated.
        pause: waits a given number of seconds in the driver's colour, between attempts.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        failed: bool = False,
        handshake: bool = False,
        pause: Callable[[float], Any],
    ) -> None:
        self.x = exchange
        self.state = exchange.state
        self.failed = failed
        self.handshake = handshake
        self.pause = pause
        self.began = exchange.desk.monotonic()
        self.attempts = 0
        state = exchange.state
        self.dirty = state.data.changed() if state.decoded and not failed else []

    def run(self) -> Steps[None]:
        """Write what must be written.

        Raises:
            StoreUnavailable, StoreConflict: nothing of the data was reported as saved.
            LoginRefused: the sign-in did not take place; logouts of this request did.
            SessionEnded: another request ended the session and `on_ended` is "error".
        """
        if self.x.failure is not None:
            self._refuse_after_outage(self.x.failure)
            return
        if self.failed:
            self._drop_what_widens()
        refused: LoginRefused | None = None
        try:
            yield from self._identity_and_data()
        except LoginRefused as error:
            refused = error
        yield from self._end_users()
        yield from self._end_others()
        self._renew_cookie()
        if refused is not None:
            raise refused

    def _refuse_after_outage(self, failure: StoreError) -> None:
        """Nothing was loaded, so nothing is written; a logout at least clears the browser."""
        x = self.x
        if x.logout_failed:
            x.delete_cookie()
            raise failure
        if x.accessed and not self.failed and x.outage == "unavailable":
            raise failure

    def _renew_cookie(self) -> None:
        """A token that came under an earlier cookie's name goes back under today's."""
        x, record = self.x, self.state.record
        if x.renew and x.accessed and not x.started and record is not None and x.token is not None:
            x.renew = False
            if x.cookie is None:
                x.send_token(x.token, record, postponable=True)

    @property
    def due(self) -> bool:
        """Whether `run` would call the store at all."""
        state = self.state
        return bool(
            state.draft
            or state.ending
            or state.users
            or state.end_others
            or self.x.failure
            or self.x.renew
            or self._rotates
            or self._wants_record
            or self._wants_save
        )

    # -- what there is to do

    @property
    def _wants_record(self) -> bool:
        state = self.state
        if state.record is not None and not state.detached:
            return False
        return bool(not self.failed and (state.save_empty or (state.decoded and state.data.data)))

    @property
    def _wants_save(self) -> bool:
        state = self.state
        if state.record is None or state.detached or self.failed:
            return False
        return bool(state.policy or self.dirty)

    @property
    def _rotates(self) -> bool:
        x = self.x
        if self.failed or self.handshake or x.started or not x.accessed:
            return False
        return x.state.record is not None and (x.promote or x.hand_out is not None)

    def _drop_what_widens(self) -> None:
        state = self.state
        lost = state.decoded and (state.data.changed() if state.record else state.data.data)
        if state.draft or state.policy or state.keep_alive or lost:
            keys = tuple(lost) if lost else ()
            self.x.emit(
                ev.ChangesDropped(
                    session_id=state.record.id if state.record else None,
                    user_id=state.record.user_id if state.record else None,
                    cause="the request failed",
                    keys=keys,
                )
            )
        state.draft = None
        state.policy = None
        state.keep_alive = False

    # -- the session itself

    def _identity_and_data(self) -> Steps[None]:
        state = self.state
        record = state.record
        if record is None:
            if state.draft is not None or self._wants_record:
                yield from self._create(self._draft())
            return
        if (state.draft is not None or self._wants_record) and not self.failed:
            yield from self._succeed(record, self._draft())
        elif state.ending is not None:
            yield from self._end(record)
        elif self._emptied(record):
            state.ending = EndReason.SIGNED_OUT
            yield from self._end(record)
        else:
            if self._rotates:
                yield from self._rotate(record)
            if self._wants_save:
                yield from self._save(record)

    def _emptied(self, record: Record) -> bool:
        """An anonymous session whose last key was removed is over."""
        state = self.state
        return (
            record.user_id is None
            and not self.failed
            and not state.save_empty
            and state.decoded
            and not state.data.data
            and bool(self.dirty)
        )

    def _draft(self) -> Draft:
        if self.state.draft is not None:
            return self.state.draft
        token = self.state.token_to_be
        assert token is not None
        return Draft(token, None)

    def _new_record(self, draft: Draft, now: float, old: Record | None) -> Record:
        """The record a draft asks for; its payload is sealed later."""
        x, state = self.x, self.state
        keeps = old is not None and not draft.login and old.user_id == draft.user_id
        base = Record(
            id=draft.token.id,
            secret_hash=draft.token.secret_hash,
            version=1,
            write_id=self._write_id(),
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
        if keeps and old is not None and not state.detached:
            kept = replace(
                base,
                created_at=old.created_at,
                authenticated_at=old.authenticated_at,
                valid_from=old.valid_from,
                idle_timeout=old.idle_timeout,
                absolute_timeout=old.absolute_timeout,
                policy=old.policy,
            )
            return self._with_policy(kept, state.policy) if state.policy else kept
        if draft.login:
            verified = self._verified_at(draft)
            base = replace(base, authenticated_at=verified, valid_from=verified)
            state.meta["claims"] = draft.claims or {}
        if x.request.client:
            state.meta["client"] = x.request.client
        return self._with_policy(base, state.policy or draft.policy or "default")

    def _verified_at(self, draft: Draft) -> float:
        """When the credentials were checked, by the store's clock."""
        x = self.x
        if draft.verified_at is None:
            return x.at(x.began)
        ago = x.desk.wall() - draft.verified_at
        return min(x.at(x.desk.monotonic()), round(x.at(x.desk.monotonic()) - ago, 6))

    def _with_policy(self, record: Record, name: str) -> Record:
        if name in (CUSTOM, CUSTOM_PERSISTENT):
            default = self.x.rules.policies["default"]
            idle = record.idle_timeout or default.idle
            if self.state.custom_idle is not None:
                idle = self.state.custom_idle
            policy = Policy(min(idle, default.absolute), default.absolute)
        else:
            policy = self.x.rules.policies[name]
        return replace(
            record, policy=name, idle_timeout=policy.idle, absolute_timeout=policy.absolute
        )

    def _seal(self, record: Record, data: dict[str, Any]) -> Record:
        content = [data, self.state.meta]
        return replace(record, payload=self.x.desk.sealer.seal(record, content))

    def _write_id(self) -> str:
        return self.x.desk.random(9).hex()

    def _limit(self, draft: Draft) -> Limit | None:
        return self.x.rules.limit if draft.login else None

    def _create(self, draft: Draft) -> Steps[None]:
        now = yield from self.x.store_now()
        record = self._seal(self._new_record(draft, now, None), self.state.data.data)
        result = yield from self.x.trip("create", record, limit=self._limit(draft))
        self._admitted(result)
        self._report_limit(result, record)
        self._stand_on(record, draft, None)

    def _admitted(self, result: Any) -> None:
        if isinstance(result, LimitReached):
            raise SessionLimitReached("the user has as many sessions as allowed")
        if isinstance(result, Superseded):
            raise LoginSuperseded("the user was logged out everywhere meanwhile; sign in again")
        if isinstance(result, Exists):
            raise StoreConflict("the new session id is taken")

    def _succeed(self, record: Record, draft: Draft) -> Steps[None]:
        """End the record and put the drafted one in its place, merging what came between."""
        x, state = self.x, self.state
        reason = state.ending or EndReason.REPLACED
        data = state.data.data
        new = self._new_record(draft, (yield from x.store_now()), record)
        while True:
            sealed = self._seal(new, data)
            result = yield from x.trip(
                "succeed",
                record.id,
                record.version,
                sealed,
                reason=reason,
                limit=self._limit(draft),
            )
            self._admitted(result)
            if isinstance(result, Saved):
                self._report_limit(result, sealed)
                self._stand_on(sealed, draft, record, reason)
                return
            if isinstance(result, Conflict):
                record = result.record
                if not state.detached:
                    data = self._merged(record)
                yield from self.again(record)
                continue
            yield from self._overtaken(record, draft, result)
            return

    def _overtaken(self, record: Record, draft: Draft, result: Ended | Missing) -> Steps[None]:
        """The record ended before we could replace it.

        A sign-in stands on its own password and still takes place, but brings no data back from
        a session somebody signed out of. Anything else must not revive it.
        """
        state = self.state
        replaced = isinstance(result, Ended) and result.reason is EndReason.REPLACED
        if draft.login:
            if not state.detached and not (replaced and record.user_id is None):
                state.keep_only_changes()
            state.forget_record()
            yield from self._create(draft)
        elif state.ending is None:
            yield from self._follow_with_changes(record, result)
            state.draft = None
        else:
            yield from self._follow_with_logout(record, result)
            if state.detached and (self.x.cookie is not None or not replaced):
                state.forget_record()
                yield from self._create(draft)
            else:
                state.become_anonymous()

    def _stand_on(
        self, record: Record, draft: Draft, old: Record | None, reason: EndReason | None = None
    ) -> None:
        """The new record is stored: it is the ground from here on, and the cookie goes out."""
        x = self.x
        previous = old.id if old is not None else None
        if draft.login:
            x.emit(
                ev.LoggedIn(
                    session_id=record.id,
                    user_id=record.user_id,
                    previous_id=previous,
                    policy=record.policy,
                )
            )
        elif reason is EndReason.REPLACED:
            x.emit(
                ev.Regenerated(session_id=record.id, user_id=record.user_id, previous_id=previous)
            )
        else:
            if old is not None and reason is not None:
                x.emit(ev.SessionFinished(session_id=old.id, user_id=old.user_id, reason=reason))
            x.emit(ev.SessionCreated(session_id=record.id, user_id=record.user_id))
        self._rebase(record)
        x.hand_out = None
        x.promote = False
        x.send_token(draft.token, record)
        x.token = draft.token

    def _rebase(self, record: Record) -> None:
        """What was just written is the ground from here on; the application's objects stay."""
        state = self.state
        read = self.x.reader(record)
        assert read is not None
        data = state.data
        data.rebase(read()[0], lambda: read()[0])
        state.stand_on(record, read, data)
        self.x.mark_touched()

    def _report_limit(self, result: Any, record: Record) -> None:
        for other in result.ended if isinstance(result, Saved) else ():
            self.x.emit(
                ev.SessionFinished(session_id=other, user_id=record.user_id, reason=EndReason.LIMIT)
            )

    # -- saving

    def _save(self, record: Record) -> Steps[None]:
        """Write the changes onto the record, merged with whatever others wrote meanwhile."""
        x, state = self.x, self.state
        wanted = record
        data = state.data.data
        if state.policy:
            wanted = self._with_policy(record, state.policy)
        while True:
            write_id = self._write_id()
            sealed = self._seal(wanted, data)
            active = x.accessed and not x.request.passive
            result = yield from x.trip(
                "save",
                sealed,
                write_id=write_id,
                active=active,
                not_after=x.rules.not_after(record),
            )
            if isinstance(result, Saved):
                last_active = result.now if active else record.last_active_at
                if state.policy:
                    x.emit(
                        ev.PolicyChanged(
                            session_id=record.id, user_id=record.user_id, policy=state.policy
                        )
                    )
                    if x.token is not None and not x.started:
                        x.send_token(x.hand_out or x.token, sealed)
                self._rebase(
                    replace(
                        sealed,
                        version=result.version,
                        write_id=write_id,
                        last_active_at=last_active,
                    )
                )
                return
            if not isinstance(result, Conflict):
                yield from self._follow_with_changes(record, result)
                return
            record = result.record
            if not x.genuine(record):
                raise StoreConflict("the record was replaced by one of another user")
            data = self._merged(record)
            wanted = self._with_policy(record, state.policy) if state.policy else record
            yield from self.again(record)

    def _merged(self, current: Record, *, yield_to_theirs: bool = False) -> dict[str, Any]:
        """Our changes on top of another request's record; collisions are told as one event."""
        read = self.x.reader(current)
        if read is None:
            raise StoreConflict("the record was overwritten with content that cannot be read")
        try:
            theirs, meta = read()
        except CodecError as error:
            raise StoreConflict("the record was overwritten with unreadable content") from error
        self.state.meta = meta
        paths: list[str] = []
        merged = self.state.data.replay(theirs, paths.append, yield_to_theirs=yield_to_theirs)
        if paths:
            who = {"session_id": current.id, "user_id": current.user_id}
            if yield_to_theirs:
                self.x.emit(
                    ev.ChangesDropped(**who, cause="the successor wrote them", keys=tuple(paths))
                )
            else:
                self.x.emit(ev.Collided(**who, paths=tuple(paths)))
        return merged

    def again(self, record: Record) -> Steps[None]:
        """Give other writers way; give up at the commit deadline."""
        self.attempts += 1
        waited = self.x.desk.monotonic() - self.began
        if waited >= self.x.rules.commit_deadline:
            raise StoreConflict(
                f"session {record.id} was changed by others for {waited:.1f} s without a pause",
                operation="save",
            )
        if self.attempts > BACKOFF_AFTER:
            spread = self.x.desk.random(1)[0] / 255
            yield self.pause(0.002 * min(self.attempts, 10) * spread)
        # A conflict is not the store's slowness: it is outside the store's time budget.
        self.x.spent = 0.0

    # -- the record ended meanwhile

    def _follow_with_changes(self, record: Record, result: Ended | Missing) -> Steps[None]:
        """Carry the changes to a successor of the same user, or drop them as configured."""
        x, state = self.x, self.state
        changed = self.dirty
        for _ in range(MAX_CHAIN):
            if (
                not isinstance(result, Ended)
                or result.reason is not EndReason.REPLACED
                or result.successor is None
                or tag_of(result.successor) != record.tag
            ):
                break
            found = yield from x.trip("load", result.successor)
            if not isinstance(found, Live):
                result = found
                continue
            heir = found.record
            if heir.user_id != record.user_id or not x.genuine(heir):
                break
            if not changed:
                return
            saved = yield from self._hand_over(heir)
            if saved:
                return
            result = yield from x.trip("load", heir.id)
        state.policy = None
        if changed:
            x.emit(
                ev.ChangesDropped(
                    session_id=record.id,
                    user_id=record.user_id,
                    cause="the session ended meanwhile",
                    keys=tuple(changed),
                )
            )
        if x.rules.on_ended == "error":
            raise SessionEnded("the session was ended by another request")

    def _hand_over(self, heir: Record) -> Steps[bool]:
        """Save our changes onto the successor; False when it ended, too."""
        x = self.x
        while True:
            data = self._merged(heir, yield_to_theirs=True)
            result = yield from x.trip(
                "save",
                self._seal(heir, data),
                write_id=self._write_id(),
                active=False,
                not_after=x.rules.not_after(heir),
            )
            if isinstance(result, Saved):
                return True
            if not isinstance(result, Conflict):
                return False
            heir = result.record
            yield from self.again(heir)

    def _end(self, record: Record) -> Steps[None]:
        """Log out: end the record and whatever replaced it meanwhile."""
        x, state = self.x, self.state
        reason = state.ending or EndReason.SIGNED_OUT
        if record.user_id is not None and any(
            intent.user_id == record.user_id and not intent.others_only for intent in state.users
        ):
            # Ending all of the user's sessions ends this one in the same step.
            self._after_end(record, reason)
            return
        result = yield from x.trip("end", record.id, reason)
        if isinstance(result, Ended) and result.fresh:
            self._after_end(record, reason)
        else:
            yield from self._follow_with_logout(record, result)
            state.become_anonymous()

    def _after_end(self, record: Record, reason: EndReason) -> None:
        self.x.emit(ev.SessionFinished(session_id=record.id, user_id=record.user_id, reason=reason))
        self.state.become_anonymous()
        self.x.delete_cookie()

    def _follow_with_logout(self, record: Record, result: Any) -> Steps[None]:
        """A logout that was overtaken by a new id of the same user ends that one as well."""
        x = self.x
        for _ in range(MAX_CHAIN):
            if (
                not isinstance(result, Ended)
                or result.reason is not EndReason.REPLACED
                or result.successor is None
                or tag_of(result.successor) != record.tag
            ):
                return
            heir = result.successor
            result = yield from x.trip("end", heir, EndReason.SIGNED_OUT, user_id=record.user_id)
            if isinstance(result, Ended) and result.fresh:
                x.emit(
                    ev.SessionFinished(
                        session_id=heir, user_id=record.user_id, reason=EndReason.SIGNED_OUT
                    )
                )
                x.delete_cookie()
                return

    # -- rotation

    def _rotate(self, record: Record) -> Steps[None]:
        """Bring an offered secret into force, or offer the one that is due."""
        x = self.x
        if x.promote:
            result = yield from x.trip("rotate", record.id, generation=record.generation)
            x.promote = False
            promoted = True
        else:
            token = x.hand_out
            assert token is not None
            promoted = False
            if token.generation == record.generation + 1 and record.next_hash is None:
                result = yield from x.trip(
                    "rotate",
                    record.id,
                    generation=record.generation,
                    next_hash=token.secret_hash,
                )
            else:
                result = Live(record, 0.0)
            offered = isinstance(result, Live) and token.secret_hash in (
                result.record.next_hash,
                result.record.secret_hash,
            )
            if offered:
                x.send_token(token, record, postponable=True)
        if isinstance(result, Live):
            current = result.record
            self.state.record = replace(
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

    # -- other sessions

    def _end_users(self) -> Steps[None]:
        x, state = self.x, self.state
        intents, state.users = state.users, []
        for intent in intents:
            record = state.record
            mine = record is not None and record.user_id == intent.user_id
            result = yield from x.trip(
                "end_user",
                x.desk.tag(intent.user_id),
                EndReason.SIGNED_OUT,
                except_id=record.id if mine and intent.others_only and record else None,
            )
            x.emit(
                ev.UserFinished(
                    user_id=intent.user_id, reason=EndReason.SIGNED_OUT, count=result.ended
                )
            )

    def _end_others(self) -> Steps[None]:
        x, state = self.x, self.state
        others, state.end_others = state.end_others, []
        record = state.record
        for other in others:
            if record is None or record.user_id is None:
                return
            result = yield from x.trip("end", other, EndReason.REVOKED, user_id=record.user_id)
            if isinstance(result, Ended) and result.fresh:
                x.emit(
                    ev.SessionFinished(
                        session_id=other, user_id=record.user_id, reason=EndReason.REVOKED
                    )
                )
