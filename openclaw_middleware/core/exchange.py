"""One request: from cookie to session, and from session to headers.

The exchange finds the token, runs the load and the touch. How the store is asked is in `trips`,
what the response carries in `outgoing`; what a commit writes is decided in `commit`, how a token
stands to its record in `verdict`.
Bodies are generators; drivers run them in their colour. No framework, no engine in here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import (
    CodecError,
    ReauthenticationRequired,
    SessionError,
    StoreError,
)
from . import events as ev
from .areas import lapse_of
from .contract import Ended, Live, Missing, TouchResult
from .cookies import CookieSpec
from .desk import Desk
from .outage import chosen
from .outgoing import Outgoing
from .record import EndReason, Record, tag_of
from .request import RequestInfo
from .state import Content, State
from .steps import Steps
from .token import Token
from .trips import Trips
from .verdict import Standing, judge


class Exchange(Trips, Outgoing):
    """The session of one request, between the driver and the store.

    Attributes:
        resent: the state of a write that is being sent again, or None.
        failure: the error that kept the session from being loaded, or None.
        refused: why a sign-in was refused that nobody was told of yet, or None.
        demanded: the last demand of a fresh sign-in that was raised, or None.
        closed: the request failed; nothing more is written for it.
        on_access: called once when the application looks at the session, in whatever thread it
            does; None for nobody.
    """

    def __init__(self, desk: Desk, request: RequestInfo) -> None:
        Trips.__init__(self, desk)
        Outgoing.__init__(self, desk, request.navigation)
        self.request = request
        self.state = State(desk.mint, desk.encode)
        self.resent: State | None = None
        self.failure: StoreError | None = None
        self.refused: SessionError | None = None
        self.demanded: ReauthenticationRequired | None = None
        self.logout_failed = False
        self.closed = False
        self.on_access: Callable[[], object] | None = None
        self.hand_out: Token | None = None
        self.promote = False
        self._touched = False
        self._outage: str | None = None
        self.token: Token | None = None
        # A signature is only checked when somebody wants the session.
        self.loaded = not request.cookies or not any(
            spec.name in request.cookies for spec in (desk.cookie, *desk.previous_cookies)
        )

    # -- the token

    def _find_token(self) -> Token | None:
        desk = self.desk
        specs = (desk.cookie, *desk.previous_cookies)
        presented = 0
        valid: dict[str, tuple[Token, CookieSpec]] = {}
        for spec in specs:
            for value in spec.find(self.request.cookies):
                presented += 1
                token = desk.signer.verify(value)
                if token is not None:
                    valid.setdefault(value, (token, spec))
            if valid:
                break
        if len(valid) == 1:
            token, spec = next(iter(valid.values()))
            if spec is not desk.cookie:
                self.stray = [spec]
                self.renew = True
            return token
        if presented:
            self.emit(ev.CookieRejected(valid=len(valid), presented=presented))
        if len(valid) > 1:
            self.stray = list(specs)
        return None

    @property
    def writing(self) -> State:
        """The state a write is made of: what is sent again, if anything, else what is at hand."""
        return self.resent or self.state

    # -- loading

    def load(self) -> Steps[None]:
        """Load what the token names; a failing store is remembered, not raised."""
        if self.loaded or self.failure is not None:
            return
        self.token = self._find_token()
        if self.token is None:
            self.loaded = True
            return
        try:
            yield from self._load(self.token)
        except StoreError as error:
            if not self.loaded:
                self.failure = error
        else:
            self.loaded = self.failure is None

    def _load(self, token: Token) -> Steps[None]:
        found = yield from self.trip("load", token.id)
        if self.loaded:
            return  # by another task of this request, which goes on with it
        if isinstance(found, Missing) and found.fault:
            self._unreadable(token.id, None, found.fault)
        elif isinstance(found, Missing):
            self._bury(EndReason.GONE)
        elif isinstance(found, Ended):
            self._bury(found.reason)
        elif self.genuine(found.record):
            yield from self._meet(token, found)

    def genuine(self, record: Record) -> bool:
        """Whether the record lies in its own user's shard (and not where somebody copied it)."""
        if tag_of(record.id) == self.desk.tag(record.user_id):
            return True
        self.emit(ev.RecordUnreadable(session_id=record.id, fault="foreign shard"))
        return False

    def _meet(self, token: Token, found: Live) -> Steps[None]:
        record, now = found.record, found.now
        verdict = judge(token, record, now, self.rules, self.desk.rotation_keys)
        who = {"session_id": record.id, "user_id": record.user_id}
        if verdict.standing is Standing.UNKNOWN:
            self.dead = True
            return
        if verdict.standing is Standing.WENT_BACK:
            self.emit(ev.StoreWentBack(**who))
            self._bury(EndReason.GONE)
            return
        if verdict.standing is Standing.THEFT:
            self.emit(ev.TheftSuspected(**who, generation=token.generation))
            yield from self.trip("end", record.id, EndReason.THEFT)
            self._bury(EndReason.THEFT)
            return
        over = self.rules.expired(record, now)
        if over is not None:
            self._bury(over)
            return
        if self.stand_on(record):
            self.hand_out = verdict.hand_out
            self.promote = verdict.standing is Standing.SUCCESSOR
            area = self.request.area
            if area is not None:
                self.state.judged = lapse_of(area, record, now, veiled=self.request.veiled)

    def stand_on(self, record: Record) -> bool:
        """Verify the envelope and make the record the state's ground; False if unreadable."""
        read = self.reader(record)
        if read is None:
            return False
        self.state.stand_on(record, read)
        return True

    def reader(self, record: Record) -> Any:
        """A function decoding the record's content, or None when its tag does not verify."""
        try:
            opened = self.desk.sealer.unseal(record)
        except CodecError as error:
            self._unreadable(record.id, record.user_id, str(error))
            return None

        def read() -> Content:
            try:
                data, meta = opened.decode()
            except CodecError as error:
                self._unreadable(record.id, record.user_id, str(error))
                raise
            return data, meta

        return read

    def _unreadable(self, session_id: str, user_id: str | None, fault: str) -> None:
        ev.logger.warning("session %s cannot be read: %s", session_id, fault)
        self.emit(ev.RecordUnreadable(session_id=session_id, user_id=user_id, fault=fault))

    def _bury(self, reason: EndReason) -> None:
        self.dead = True
        self.previous_end = reason
        self.emit(
            ev.DeadTokenPresented(session_id=self.token.id if self.token else None, reason=reason)
        )

    # -- touching

    def touch_due(self) -> bool:
        """Whether this use of the session should start its idle clock anew."""
        record = self.state.record
        if record is None or not self.clocked:
            return False
        if self.state.lapse is not None:
            # Asking for a page that is refused would else end the idleness it is refused for.
            return False
        if self.state.keep_alive:
            return True
        if self._touched or self.request.passive or not self.accessed:
            return False
        now = self.at(self.desk.monotonic())
        return now - record.last_active_at >= self.rules.touch_every(record)

    def keeps_alive_late(self) -> bool:
        """Whether `keep_alive()` was called after the response had started, where a save is the
        moment to do it: a socket may stay open for hours."""
        return self.started and self.state.keep_alive and self.touch_due()

    def touch_can_wait(self) -> bool:
        """Whether a due touch may go out after the response: the deadline is not near."""
        record = self.state.record
        if record is None or not self.clocked or self.state.keep_alive:
            return False
        left = self.rules.not_after(record) - self.at(self.desk.monotonic())
        return left > 2 * self.rules.touch_every(record)

    def touch(self, ago: float = 0.0) -> Steps[TouchResult | None]:
        """Start the idle clock anew, if the record is still alive.

        Args:
            ago: seconds since the person last acted; a later activity stands.
        """
        record = self.state.record
        if record is None:
            return None
        self.mark_touched()
        # The idle part of not_after is what a touch extends; only the absolute part still holds.
        absolute = self.rules.limits_of(record).absolute
        until = record.started + absolute
        found: TouchResult = yield from self.trip("touch", record.id, not_after=until, ago=ago)
        if isinstance(found, Live):
            self.state.touched(found.record.last_active_at)
        else:
            self.withhold()
        return found

    def beat(self, ago: float) -> Steps[None]:
        """`touch`, and find out whether there is a session at all any more."""
        found = yield from self.touch(ago)
        if isinstance(found, Ended | Missing):
            self.state.become_anonymous()
            self._bury(found.reason if isinstance(found, Ended) else EndReason.GONE)

    # -- the cookie

    def send_token(self, token: Token, record: Record, *, postponable: bool = False) -> None:
        """Let the response carry this token; a postponable one can as well go with a later one."""
        policy = self.rules.limits_of(record)
        max_age = None
        if policy.persistent and self.clocked:
            max_age = max(0, int(record.started + policy.absolute - self.at(self.desk.monotonic())))
        value = self.desk.cookie.set(self.desk.signer.sign(token), max_age)
        self.set_cookie(value, postponable=postponable)

    def withhold(self) -> None:
        """The record is over: no token of it may overwrite its successor's in the browser."""
        self.unset_cookie()
        self.hand_out = None
        self.renew = self.promote = False

    # -- the application's access

    def access(self) -> State:
        """The state, for the application to read; raises what kept it from being loaded."""
        self.accessed = True
        if self.on_access is not None:
            told, self.on_access = self.on_access, None
            told()
        if self.failure is not None and self.outage == "unavailable":
            raise self.failure
        return self.state

    @property
    def outage(self) -> str:
        """What a failed load means for this request: "unavailable" or "anonymous"; a function that
        chooses is asked once."""
        if self._outage is None:
            self._outage = chosen(self.rules.on_store_error, self.failure)
        return self._outage

    def refusal_behind(self, status: int) -> SessionError | None:
        """The failed load, or the area's demand, that a framework turned into a server error of
        its own, if that is what `status` stands for; an application's own 503 page is left to it.
        """
        if status < 500 or status == 503 or not self.accessed:
            return None
        if self.failure is not None:
            return self.failure if self.outage == "unavailable" else None
        return self.demanded if self.state.lapse is not None else None

    def veil(self) -> None:
        """The request was refused for its area: what still looks at the session on the way out
        sees somebody signed out, and raises nothing."""
        judged = self.state.judged
        if judged is not None:
            self.state.judged = judged._replace(veiled=True)

    def mark_touched(self) -> None:
        """The idle clock is started anew: no (other) touch is needed."""
        self._touched = True
        self.writing.keep_alive = False
