"""Write a session's own record: create it, save onto it, put another in its place, end it.

Save never creates; a sign-in stands on its own password and survives a race, everything else
must not bring an ended session back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from ..errors import LoginSuperseded, SessionLimitReached, StoreConflict, StoreUnavailable
from . import events as ev
from .contest import Contest, refresh
from .contract import Conflict, Ended, Exists, Limit, LimitReached, Live, Missing, Saved, Superseded
from .exchange import Exchange
from .follow import follow_with_changes, follow_with_logout, successor_for
from .making import new_record, sealed, under_policy, write_id
from .meanwhile import Departure
from .record import EndReason, Record
from .rotation import send_again
from .state import Content, Draft
from .steps import Steps
from .unanswered import Unanswered, assume


class Saving:
    """The writes of one commit.

    Args:
        changed: keys this request has changed.
    """

    def __init__(
        self, exchange: Exchange, pause: Callable[[float], Any], changed: Sequence[str]
    ) -> None:
        self.x = exchange
        self.changed = changed
        self.contest = Contest(exchange, pause)

    def again(self, lost: Unanswered) -> Steps[None]:
        """Send a write whose answer was lost once more, then go on with it as usual."""
        if lost.draft is None:
            yield from self.save(lost.sent, lost)
        elif lost.ground is None:
            yield from self.create(lost.draft, lost)
        else:
            yield from self.succeed(lost.ground, lost.draft, lost)

    def create(self, draft: Draft, lost: Unanswered | None = None) -> Steps[None]:
        """Store a session that had no record.

        Raises:
            LoginRefused: the user's limit, or a logout everywhere in between.
        """
        x = self.x
        if lost is not None:
            data, record = lost.data, lost.sent
        else:
            now = yield from x.store_now()
            data = x.writing.data.data
            record = sealed(x, new_record(x, draft, now, None), data)
        self._depart(lost)
        result = yield from self._send(
            record, data, None, draft, "create", record, limit=self._limit(draft)
        )
        self._admitted(result, record, draft)
        if draft.login:
            self._tell_login(record, None)
        else:
            x.emit(ev.SessionCreated(session_id=record.id, user_id=record.user_id))
        self._introduce(record, draft, data)

    def succeed(self, record: Record, draft: Draft, lost: Unanswered | None = None) -> Steps[None]:
        """End the record and put the drafted one in its place, merging what came between.

        Raises:
            LoginRefused: as for `create`; the old record then lives on unchanged.
        """
        x, state = self.x, self.x.writing
        reason = state.ending or EndReason.REPLACED
        data = state.data.data
        way = self._depart(lost)
        while True:
            if lost is not None:
                data, new, lost = lost.data, lost.sent, None
            else:
                new = new_record(x, draft, (yield from x.store_now()), record)
                new = sealed(x, new, data)
            result = yield from self._send(
                new,
                data,
                record,
                draft,
                "succeed",
                record.id,
                record.version,
                new,
                reason=reason,
                limit=self._limit(draft),
            )
            if isinstance(result, Superseded) and not draft.login:
                # Somebody ended the user's other sessions and spared this one, or ended it, too.
                result = yield from x.trip("load", record.id)
            if isinstance(result, Conflict | Live):
                record = result.record
                if not way.detached:
                    data = self.contest.merged(record)
                    way.merged(state)
                yield from self.contest.lost(record)
                continue
            if isinstance(result, Ended | Missing):
                yield from self._overtaken(record, draft, result)
                return
            self._admitted(result, new, draft)
            self._tell_succession(record, new, draft, reason)
            self._introduce(new, draft, data)
            x.signed_out = reason is EndReason.SIGNED_OUT
            return

    def save(self, record: Record, lost: Unanswered | None = None) -> Steps[None]:
        """Write the changes onto the record, merged with whatever others wrote meanwhile."""
        x, state = self.x, self.x.writing
        data = state.data.data
        way = self._depart(lost)
        active = x.accessed and not x.request.passive and state.lapse is None
        while True:
            if lost is not None:
                data, wanted, lost = lost.data, lost.sent, None
            else:
                wanted = under_policy(x, record, way.policy) if way.policy else record
                wanted = replace(sealed(x, wanted, data), write_id=write_id(x))
            result = yield from self._send(
                wanted,
                data,
                record,
                None,
                "save",
                wanted,
                write_id=wanted.write_id,
                active=active,
                not_after=x.rules.write_until(record),
            )
            if isinstance(result, Conflict):
                record = result.record
                data = self.contest.merged(record)
                way.merged(state)
                yield from self.contest.lost(record)
                continue
            if not isinstance(result, Saved):
                x.withhold()
                yield from follow_with_changes(x, self.contest, record, result, self.changed)
                state.policy = None
                return
            seen = result.now if active else record.last_active_at
            stored = replace(wanted, version=result.version, last_active_at=seen)
            kept_alive = state.keep_alive
            self._rebase(stored, data)
            if active:
                x.mark_touched()
            else:
                state.keep_alive = kept_alive
            if way.policy:
                yield from self._tell_policy(stored, way.policy)
            return

    def end(self, record: Record) -> Steps[None]:
        """Log out: end the record, and whatever of the same user replaced it meanwhile."""
        x, state = self.x, self.x.writing
        way = Departure(state)
        reason = state.ending or EndReason.SIGNED_OUT
        result = yield from x.trip("end", record.id, reason)
        x.withhold()
        if isinstance(result, Ended) and result.fresh:
            self.ended_here(record, reason)
        elif (yield from follow_with_logout(x, record, result)):
            x.delete_cookie()
        way.ended(state)

    def ended_here(self, record: Record, reason: EndReason, *, lives_on: bool = False) -> None:
        """This very request ended the session, so it deletes the cookie.

        Args:
            lives_on: a session that this request has stored since is the cookie's.
        """
        x = self.x
        x.emit(ev.SessionFinished(session_id=record.id, user_id=record.user_id, reason=reason))
        if lives_on:
            x.signed_out = True
        else:
            x.delete_cookie()

    # -- help

    def _depart(self, lost: Unanswered | None) -> Departure:
        """What is at hand now is about to be written, or what was the last time."""
        self.way = Departure(self.x.writing, apart=lost is not None)
        self.contest.data = self.way.data
        return self.way

    def _send(
        self,
        sent: Record,
        data: dict[str, Any],
        ground: Record | None,
        draft: Draft | None,
        verb: str,
        *args: Any,
        **keywords: Any,
    ) -> Steps[Any]:
        """Write, and keep what was written in case nobody says whether it arrived."""
        try:
            answer = yield from self.x.trip(verb, *args, **keywords)
        except StoreUnavailable:
            assume(self.x, self.way, sent, data, ground, draft)
            raise
        return answer

    def _overtaken(self, record: Record, draft: Draft, result: Ended | Missing) -> Steps[None]:
        """The record ended before we could replace it. Who signs in or out meanwhile gets that from
        the next commit."""
        x, state, way = self.x, self.x.writing, self.way
        x.withhold()
        if way.outdated(state):
            return
        replaced = isinstance(result, Ended) and result.reason is EndReason.REPLACED
        if draft.login:
            if state.ending is not None:
                yield from follow_with_logout(x, record, result)
            # To a second sign-in beside the first come the visitor's data, as they are by now;
            # those of a session somebody signed out of do not.
            heir = None
            if record.user_id is None and not state.detached:
                heir = yield from successor_for(x, draft.user_id, result)
            if way.outdated(state):
                return
            if not state.detached and not (heir and refresh(x, heir)):
                dropped: list[str] = []
                state.keep_only_changes(dropped.append)
                self._tell_dropped(record, "the session ended meanwhile", dropped)
            state.record = record
            yield from self.create(draft)
        elif state.ending is None:
            yield from follow_with_changes(x, self.contest, record, result, self.changed)
            if not way.outdated(state):
                state.draft = None
        else:
            ours = yield from follow_with_logout(x, record, result)
            if ours:
                x.delete_cookie()
            if way.outdated(state):
                return
            if state.detached and (ours or not replaced):
                yield from self.create(draft)
            else:
                if state.decoded:
                    self._tell_dropped(record, "another session took its place", state.data.data)
                state.become_anonymous()

    def _limit(self, draft: Draft) -> Limit | None:
        return self.x.rules.limit if draft.login else None

    def _admitted(self, result: Any, record: Record, draft: Draft) -> None:
        state = self.x.writing
        if isinstance(result, LimitReached | Superseded) and state.draft == draft:
            state.draft = None
        if isinstance(result, LimitReached):
            self._tell_denied(record, "limit")
            raise SessionLimitReached("the user has as many sessions as allowed")
        if isinstance(result, Superseded):
            self._tell_denied(record, "superseded")
            raise LoginSuperseded("the user was logged out everywhere meanwhile; sign in again")
        if isinstance(result, Exists):
            raise StoreConflict("the new session id is taken", operation="create")
        for other in result.ended:
            self.x.emit(
                ev.SessionFinished(session_id=other, user_id=record.user_id, reason=EndReason.LIMIT)
            )

    def _tell_dropped(self, record: Record, cause: str, keys: Iterable[str]) -> None:
        lost = tuple(keys)
        if lost:
            self.x.emit(
                ev.ChangesDropped(
                    session_id=record.id, user_id=record.user_id, cause=cause, keys=lost
                )
            )

    def _tell_denied(self, record: Record, cause: str) -> None:
        kept = self.x.writing.record
        self.x.emit(
            ev.LoginDenied(
                session_id=kept.id if kept else None, user_id=record.user_id, cause=cause
            )
        )

    def _tell_login(self, record: Record, old: Record | None) -> None:
        self.x.emit(
            ev.LoggedIn(
                session_id=record.id,
                user_id=record.user_id,
                previous_id=old.id if old else None,
                policy=record.policy,
            )
        )

    def _tell_succession(self, old: Record, new: Record, draft: Draft, reason: EndReason) -> None:
        emit = self.x.emit
        if reason is not EndReason.REPLACED:
            emit(ev.SessionFinished(session_id=old.id, user_id=old.user_id, reason=reason))
        if draft.login:
            self._tell_login(new, old)
        elif reason is EndReason.REPLACED:
            emit(ev.Regenerated(session_id=new.id, user_id=new.user_id, previous_id=old.id))
        else:
            emit(ev.SessionCreated(session_id=new.id, user_id=new.user_id))

    def _tell_policy(self, record: Record, name: str) -> Steps[None]:
        x = self.x
        x.emit(ev.PolicyChanged(session_id=record.id, user_id=record.user_id, policy=name))
        if not x.started:
            # A persistent cookie's Max-Age follows the limit.
            yield from send_again(x, record)

    def _introduce(self, record: Record, draft: Draft, data: dict[str, Any]) -> None:
        """The new record is stored: it is the ground from here on, and its token goes out."""
        x = self.x
        self._rebase(record, data)
        x.mark_touched()
        x.hand_out = None
        x.promote = False
        x.dead = False
        x.token = draft.token
        x.send_token(draft.token, record)
        x.introduced = True

    def _rebase(self, record: Record, stored: dict[str, Any]) -> None:
        """What was just written is the ground; the application's objects stay the same."""
        x = self.x
        unseal = x.desk.sealer.unseal

        def read() -> Content:
            data, meta = unseal(record).decode()
            return data, meta

        paths: list[str] = []
        self.way.arrive(x.writing, record, read, stored, paths.append)
        if paths:
            x.emit(ev.Collided(session_id=record.id, user_id=record.user_id, paths=tuple(paths)))
