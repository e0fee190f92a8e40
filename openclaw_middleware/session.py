"""The session an application holds: a mapping, an identity, and a few verbs.

Everything but `load`, `reload`, `save` and `take` (and their a-prefixed twins) records intent and
does no I/O. What is decided from it, and how it is written, is the core's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from .core.making import under_policy
from .core.merge import MISSING
from .core.record import EndReason
from .core.state import Draft, UserIntent
from .errors import (
    ConfigurationError,
    SessionNotLoaded,
    SessionStateError,
)
from .info import SessionInfo, describe
from .session_mapping import SessionMapping

if TYPE_CHECKING:
    from .driver import AsyncDriver, Driver


# What every engine can keep.
LONGEST_USER_ID = 255


class Session(SessionMapping):
    """One visitor's session in one request. Keys are `str`; values what the codec keeps exactly.

    A mapping with `copy`, `|`, `|=` and `to_dict`. Changes nested inside values are noticed.
    Other requests' changes are merged at commit, never overwritten.
    """

    __slots__ = ()

    def clear(self) -> None:
        """Remove all data and the identity.

        Left empty, the visitor is logged out; what is written afterwards belongs to a fresh
        anonymous session with a new id.
        """
        self.logout()

    # -- what it is

    @property
    def id(self) -> str:
        """The public id: a stable handle that opens nothing. New right after `login()`."""
        return self._state().id

    @property
    def user_id(self) -> str | None:
        """Who is signed in, None for an anonymous visitor."""
        return self._state().user_id

    @property
    def is_new(self) -> bool:
        """No stored session stands behind this one (yet)."""
        state = self._state()
        return state.record is None or state.detached

    @property
    def modified(self) -> bool:
        """This request has changed something that a commit would store."""
        x = self._x
        state = x.state
        if state.draft or state.ending or state.policy or state.save_empty or state.unanswered:
            return True
        return state.decoded and bool(state.data.changed())

    @property
    def accessed(self) -> bool:
        """The application has looked at the session; the response then varies by cookie."""
        return self._x.accessed

    @property
    def ended(self) -> bool:
        """This request has ended the session it came with."""
        state = self._x.state
        return state.ending is not None or state.detached

    @property
    def previous_end(self) -> EndReason | None:
        """Why the session this visitor's cookie named is over; None when it is not."""
        self._state()
        return self._x.previous_end

    @property
    def info(self) -> SessionInfo:
        """Both clocks, the policy (that of `use_policy`, once called) and what is remembered of
        the client."""
        state = self._state()
        x = self._x
        if state.record is None or state.detached or state.lapse is not None:
            return SessionInfo(user_id=state.user_id, current=True)
        _ = state.data
        now = x.at(x.desk.monotonic())
        record = under_policy(x, state.record, state.policy) if state.policy else state.record
        return describe(record, state.meta, now, x.rules, current=True)

    # -- identity

    def login(
        self,
        user_id: object,
        *,
        remember: bool = False,
        policy: str | None = None,
        claims: Mapping[str, Any] | None = None,
        keep_data: bool | None = None,
        verified_at: float | datetime | None = None,
    ) -> None:
        """Sign the user in: at commit, a new record with a new id and token replaces the old.

        Args:
            user_id: who; normalised to `str`.
            remember: use the policy "remember" (14 d idle, 90 d absolute, cookie survives the
                browser) unless `policy` names another.
            policy: name of a configured lifetime policy; "default" if not given.
            claims: facts about this sign-in (methods, level), kept sealed with the record.
            keep_data: None keeps the data of an anonymous visitor or of the same user, and
                drops another user's; False drops them; True is refused for another user's.
            verified_at: when the credentials were checked (aware datetime or epoch seconds), by
                this server's clock: a moment noted by another one is off by what their clocks
                differ. Default: the start of the request. A "log out everywhere" at or after that
                moment refuses the sign-in.

        Raises:
            ResponseStarted: the headers have left.
            SessionStateError: bad user id, unknown policy, or `keep_data=True` across users.
            LoginRefused: at commit; see `SessionLimitReached` and `LoginSuperseded`.
        """
        state = self._before_start("login", self._loaded())
        name = str(user_id)
        if user_id is None or not 0 < len(name) <= LONGEST_USER_ID or not _storable(name):
            raise SessionStateError(
                f"login() needs a user id of 1 to {LONGEST_USER_ID} characters without NUL, "
                f"not {name[:80]!r}"
            )
        policy = policy or ("remember" if remember else "default")
        self._known(policy)
        owner = state.record.user_id if state.record is not None and not state.detached else None
        same = all(each in (None, name) for each in (state.user_id, owner))
        if keep_data and not same:
            raise SessionStateError(
                "login(keep_data=True) would hand one user's data to another: "
                "log out first, or leave keep_data out"
            )
        draft = Draft(
            self._x.desk.mint(name),
            name,
            login=True,
            policy=policy,
            verified_at=_epoch(verified_at),
            claims=dict(claims) if claims else None,
        )
        state.login(draft, keep_data=same if keep_data is None else keep_data)
        self._drop_sign_in_notes()

    def logout(self) -> None:
        """End this session; afterwards this object is a fresh anonymous one.

        What is written to it from here on (a farewell message) gets a new id and token.
        """
        x = self._x
        if not x.loaded and x.failure is None:
            self._load_now()
        x.accessed = True
        if x.failure is not None:
            x.logout_failed = True
            return
        x.state.logout()

    def logout_others(self) -> None:
        """End all other sessions of this user, complete even against their running logins."""
        self._end_user(others_only=True)

    def logout_everywhere(self) -> None:
        """End all sessions of this user, this one included."""
        self._end_user(others_only=False)

    def end_other(self, session_id: str) -> None:
        """End one other session of this user by its public id; anybody else's is left alone."""
        state = self._state()
        if state.user_id is None:
            raise SessionStateError("end_other() needs a signed-in user")
        if session_id == state.id:
            self.logout()
        else:
            state.end_others.append((state.user_id, session_id))

    def regenerate(self) -> None:
        """Give the session a new id and token at commit, keeping its data and identity."""
        self._before_start("regenerate").regenerate()

    def keep_alive(self) -> None:
        """Start the idle clock anew with this request, whatever the throttle says; once the
        response has started, with the next `save()`, at the latest at the end."""
        self._state().keep_alive = True

    def use_policy(self, name: str) -> None:
        """Move both limits to those of a configured policy, counted from the sign-in."""
        self._known(name)
        self._writable().policy = name

    def require_recent(self, max_age: float | timedelta) -> None:
        """Demand a sign-in within the last `max_age` seconds.

        Raises:
            ReauthenticationRequired: nobody is signed in, or the sign-in is older.
        """
        seconds = max_age.total_seconds() if isinstance(max_age, timedelta) else float(max_age)
        state = self._state()
        if state.draft is not None and state.draft.login:
            return
        record = None if state.detached else state.record
        if record is None or record.authenticated_at is None or state.lapse is not None:
            raise self._demand(seconds)
        now = self._x.at(self._x.desk.monotonic())
        # not "older than": no sign-in is recent enough for a NaN
        if not now - record.authenticated_at <= seconds:
            raise self._demand(seconds)

    def apply(self, key: str, fn: Callable[[Any], Any], default: Any = MISSING) -> Any:
        """Replace the value by `fn(value)`, atomically against every other request.

        `fn` is pure, gets a copy, and may run several times. Returns the value as this request
        sees it; after a conflict the stored one may be further on.

        Raises:
            KeyError: there is no such key and no `default`.
            TypeError: `fn` returned None.
        """
        if key == self._x.rules.identity_key:
            raise SessionStateError(f"{key!r} is the identity: use login() and logout()")
        return self._writable().data.apply(key, fn, default)

    # -- now

    def load(self) -> None:
        """Load the session now (blocking); harmless when it is loaded."""
        if not self._x.loaded:
            self._driver("load").load(self._x)
        self._x.access()

    def reload(self) -> None:
        """Bring in what other requests stored meanwhile; unsaved changes stay on top."""
        self._state()
        self._driver("reload").reload(self._x)

    def save(self) -> None:
        """Commit now (blocking); an empty new session gets a record, too.

        Raises:
            StoreUnavailable: it may have been saved. Going on, or saving again, is safe: what
                had arrived does not take place twice.
            StoreConflict, LoginRefused, SessionEnded: nothing was saved.
        """
        self._mark_explicit()
        driver = self._driver("save")
        driver.commit(self._x)
        if self._x.keeps_alive_late():
            driver.touch(self._x)

    def take(self, key: str, default: Any = None) -> Any:
        """Remove a one-time value and return it, to exactly one caller (blocking)."""
        self._writable()
        return self._driver("take").take(self._x, key, default)

    async def aload(self) -> None:
        """`load`, awaited."""
        if not self._x.loaded:
            await self._adriver("load").load(self._x)
        self._x.access()

    async def areload(self) -> None:
        """`reload`, awaited."""
        await self.aload()
        await self._adriver("reload").reload(self._x)

    async def asave(self) -> None:
        """`save`, awaited."""
        await self.aload()
        self._mark_explicit()
        driver = self._adriver("save")
        await driver.commit(self._x)
        if self._x.keeps_alive_late():
            await driver.touch(self._x)

    async def atake(self, key: str, default: Any = None) -> Any:
        """`take`, awaited."""
        await self.aload()
        self._writable()
        return await self._adriver("take").take(self._x, key, default)

    # -- Starlette asks for these

    def mark_accessed(self) -> None:
        """Count as accessed; Starlette calls it for `request.session`."""
        self._x.accessed = True

    def mark_modified(self) -> None:
        """Changes are found by comparison, so there is nothing to mark."""
        self._x.accessed = True

    # -- help

    def _mark_explicit(self) -> None:
        if self._x.started and self._x.state.ending is not None:
            return  # a logout needs no cookie
        state = self._writable()
        if state.record is None or state.draft is not None:
            state.save_empty = True

    def _driver(self, verb: str) -> Driver:
        if self._blocking is None:
            _wrong_colour(verb, f"await session.a{verb}(...)")
        return self._blocking

    def _adriver(self, verb: str) -> AsyncDriver:
        if self._async is None:
            _wrong_colour(f"a{verb}", f"session.{verb}(...)")
        return self._async

    def _identify(self, value: object) -> None:
        """The identity key was set: the same user changes nothing, unless a fresh sign-in is asked
        for; anybody else signs in."""
        state = self._loaded()
        if value is None:
            raise SessionStateError(
                f"session[{self._x.rules.identity_key!r}] = None: delete the key to log out"
            )
        if state.user_id != str(value) or state.lapse is not None:
            self.login(value)

    def _end_user(self, *, others_only: bool) -> None:
        state = self._state() if others_only else self._loaded()
        if state.user_id is None:
            raise SessionStateError("ending a user's sessions needs a signed-in user")
        state.users.append(UserIntent(state.user_id, others_only))
        if not others_only:
            state.logout()

    def _known(self, policy: str) -> None:
        if policy not in self._x.rules.policies:
            known = ", ".join(sorted(self._x.rules.policies))
            raise ConfigurationError(f"there is no policy {policy!r}; known are: {known}")


def _wrong_colour(called: str, instead: str) -> NoReturn:
    raise SessionNotLoaded(f"session.{called}() does not work here: use {instead}")


def _epoch(moment: float | datetime | None) -> float | None:
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise SessionStateError("verified_at must be an aware datetime or epoch seconds")
        return moment.timestamp()
    return moment


def _storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)
