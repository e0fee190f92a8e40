"""What the end of a request (or `save()`) does, and in which order.

What narrows (logout, revoke) always runs; what widens (login, regenerate, keep_alive, use_policy)
and the data do not run when the request failed. The session's own record comes first, then the
user's other sessions. Nothing is reported that did not happen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..errors import (
    CodecError,
    LoginRefused,
    SessionEnded,
    StoreConflict,
    StoreError,
)
from . import events as ev
from .contract import Ended
from .exchange import Exchange
from .record import EndReason, Record
from .rotation import rotate, send_again
from .saving import Saving
from .settle import give_up, settle
from .state import Draft, State
from .steps import Steps


class Commit:
    """One commit of one exchange.

    Args:
        failed: the handler failed (status >= 500 or an exception): only narrowing intents run.
        handshake: the response is a WebSocket handshake, on which secrets are never rotated.
        pause: waits a given number of seconds in the driver's colour, between attempts.

    Raises:
        CodecError: a value changed in place cannot be stored any more.
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
        self.failed = failed
        self.handshake = handshake
        self.pause = pause
        self._look()

    def _look(self) -> None:
        """Find what there is to write."""
        state = self.state
        self.changed = state.data.changed() if state.decoded and not self.failed else []
        self.saving = Saving(self.x, self.pause, self.changed)

    @property
    def state(self) -> State:
        return self.x.state

    @property
    def due(self) -> bool:
        """Whether `run` has anything to do."""
        state = self.state
        return bool(
            state.draft
            or state.unanswered
            or state.ending
            or state.users
            or state.end_others
            or self.x.failure
            or self.x.refused
            or self.x.renew
            or self._rotates
            or self._wants_record
            or self._wants_save
        )

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
        leaving = self._leaves
        self.x.take_back_farewell()
        try:
            if self.failed:
                yield from give_up(self.x)
                self.drop()
            yield from self._all()
        except StoreError:
            if leaving:
                self.x.logout_failed = True
                self.x.delete_cookie(provisional=not self.x.leaving)
            raise

    def _all(self) -> Steps[None]:
        x = self.x
        try:
            yield from self._own_record()
        except LoginRefused as error:
            x.refused = error
            yield from self._leave_without_login()
        except (SessionEnded, StoreConflict) as error:
            # What narrows does not depend on the data.
            x.refused = error
        yield from self._end_users()
        yield from self._end_others()
        yield from self._renew_cookie()
        if x.refused is not None:
            # Kept until now, since what narrows may have failed and been tried again.
            refused, x.refused = x.refused, None
            raise refused

    def _leave_without_login(self) -> Steps[None]:
        """A logout that came before the refused sign-in still holds."""
        state = self.state
        state.save_empty = False
        if state.ending is not None and state.record is not None:
            yield from self.saving.end(state.record)

    # -- what there is to do

    @property
    def _leaves(self) -> bool:
        state = self.state
        lost = state.unanswered
        return (
            state.ending is not None
            or (lost is not None and lost.state.ending is not None)
            or any(not intent.others_only for intent in state.users)
        )

    @property
    def _wants_record(self) -> bool:
        state = self.state
        if self.failed or (state.record is not None and not state.detached):
            return False
        return state.save_empty or (state.decoded and bool(state.data.data))

    @property
    def _replaces(self) -> bool:
        return self._wants_record or (self.state.draft is not None and not self._nothing_left)

    @property
    def _wants_save(self) -> bool:
        state = self.state
        if state.record is None or state.detached:
            return False
        return not self.failed and bool(state.policy or self.changed)

    @property
    def _rotates(self) -> bool:
        x = self.x
        if self.failed or self.handshake or x.started or not x.accessed:
            return False
        return x.state.record is not None and (x.promote or x.hand_out is not None)

    @property
    def _nothing_left(self) -> bool:
        """The identity was dropped and there are no data to keep for a visitor."""
        draft = self.state.draft
        if draft is None or draft.user_id is not None or self.state.save_empty:
            return False
        leaves = self.state.record is None or self.state.ending is not None
        return leaves and not self.state.data.data

    # -- doing it

    def _own_record(self) -> Steps[None]:
        if self.state.unanswered is not None:
            yield from settle(self.x, self.pause)
            self._look()
        # What comes first takes time, in which somebody may sign in or out.
        if self._replaces:
            yield from self.x.store_now()
        elif self._rotates and self.state.ending is None and self.state.record is not None:
            yield from rotate(self.x, self.state.record)
        state, saving = self.state, self.saving
        record, replaces = state.record, self._replaces
        if record is None:
            if replaces:
                yield from saving.create(self._draft())
        elif replaces:
            yield from saving.succeed(record, self._draft())
        elif state.ending is not None and self._goes_with_all(record):
            # Ending all of the user's sessions, which comes next, ends this one in the same step.
            state.become_anonymous()
        elif state.ending is not None:
            yield from saving.end(record)
        elif self._wants_save:
            yield from saving.save(record)

    def _goes_with_all(self, record: Record) -> bool:
        """Whether all of the user's sessions are to end, this one among them."""
        users = self.state.users
        for number, intent in enumerate(users):
            if not intent.others_only and intent.user_id == record.user_id:
                users[number] = replace(intent, own=record)
                return True
        return False

    def _draft(self) -> Draft:
        return self.state.draft or Draft(self.state.spare_token, None)

    def _end_users(self) -> Steps[None]:
        x, state = self.x, self.state
        while state.users:
            intent = state.users[0]
            record = state.record
            spared, own = None, intent.own
            if intent.others_only and record is not None and record.user_id == intent.user_id:
                spared = record.id
            result = yield from x.trip(
                "end_user",
                x.desk.tag(intent.user_id),
                EndReason.SIGNED_OUT,
                except_id=spared,
                own_id=own.id if own else None,
            )
            state.users.pop(0)
            if own is not None:
                # A new session that was stored after a first attempt keeps its cookie.
                lives_on = x.introduced and state.record is not None
                if not lives_on:
                    x.withhold()
                if result.own:
                    self.saving.ended_here(own, EndReason.SIGNED_OUT, lives_on=lives_on)
            x.emit(
                ev.UserFinished(
                    user_id=intent.user_id, reason=EndReason.SIGNED_OUT, count=result.ended
                )
            )

    def _end_others(self) -> Steps[None]:
        x, state = self.x, self.state
        while state.end_others:
            owner, other = state.end_others[0]
            result = yield from x.trip("end", other, EndReason.REVOKED, user_id=owner)
            state.end_others.pop(0)
            if isinstance(result, Ended) and result.fresh:
                x.emit(
                    ev.SessionFinished(session_id=other, user_id=owner, reason=EndReason.REVOKED)
                )

    def _renew_cookie(self) -> Steps[None]:
        """A token that came under an earlier cookie's name goes back under today's."""
        x, record = self.x, self.state.record
        if x.renew and x.accessed and not x.started and record is not None:
            if x.cookie is None:
                try:
                    yield from send_again(x, record, postponable=True)
                except StoreError:
                    return  # it stays in the browser, and another request will renew it
            x.renew = False

    # -- what does not happen

    def _refuse_after_outage(self, failure: StoreError) -> None:
        """Nothing was loaded, so nothing is written; a logout at least clears the browser."""
        x = self.x
        if x.logout_failed:
            x.delete_cookie()
            raise failure
        if x.accessed and not self.failed and x.outage == "unavailable":
            raise failure

    def drop(self) -> None:
        """The request failed: neither data nor what widens is stored, and that is told."""
        state = self.state
        lost = self._lost()
        if state.draft or state.policy or state.keep_alive or lost:
            record = state.record
            self.x.emit(
                ev.ChangesDropped(
                    session_id=record.id if record else None,
                    user_id=record.user_id if record else None,
                    cause="the request failed",
                    keys=lost,
                )
            )
        state.draft = None
        state.policy = None
        state.keep_alive = False

    def _lost(self) -> tuple[str, ...]:
        state = self.state
        if not state.decoded:
            return ()
        if state.record is None:
            return tuple(state.data.data)
        try:
            return tuple(state.data.changed())
        except CodecError:  # what cannot be stored may be why the request failed
            return tuple(state.data.touched())
