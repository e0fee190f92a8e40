"""The mapping half of a session: reaching the data, the identity key, copies.

What the values mean and who is signed in is the business of `session`; changes are recorded by
the core's tracked data, never here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from .core.exchange import Exchange
from .core.record import EndReason
from .core.state import State
from .errors import ReauthenticationRequired, ResponseStarted, SessionNotLoaded

if TYPE_CHECKING:
    from .driver import AsyncDriver, Driver


# What django.contrib.auth notes of a sign-in: it ends with that sign-in, whoever makes the next.
# Kept, it would make Django throw out a sign-in that another framework made in its place.
SIGN_IN_NOTES = frozenset({"_auth_user_backend", "_auth_user_hash"})


class SessionMapping(MutableMapping[str, Any]):
    """A `MutableMapping` with `str` keys, and `copy`, `|`, `|=`, `to_dict`.

    With an identity key configured, that key is a view of the user id: setting it signs in,
    removing it signs out under a new id.
    """

    __slots__ = ("__weakref__", "_async", "_blocking", "_x")

    # An adapter's own kind may say it in the words of its framework.
    _reauthentication: ClassVar = ReauthenticationRequired

    def __init__(
        self, exchange: Exchange, blocking: Driver | None, asynchronous: AsyncDriver | None
    ) -> None:
        self._x = exchange
        self._blocking = blocking
        self._async = asynchronous

    # -- reaching the data

    def _state(self) -> State:
        """The state, to read or change; raises what the area of this request still asks for."""
        state = self._loaded()
        lapse = state.lapse
        if lapse is not None and not lapse.veiled:
            raise self._demand(lapse.limit, idle=lapse.reason is EndReason.IDLE)
        return state

    def _loaded(self) -> State:
        """The state, for what stays possible where a fresh sign-in is asked for: signing in and
        signing out."""
        x = self._x
        if not x.loaded and x.failure is None:
            self._load_now()
        return x.access()

    def _demand(self, seconds: float, *, idle: bool = False) -> ReauthenticationRequired:
        error: ReauthenticationRequired = self._reauthentication(seconds, idle=idle)
        self._x.demanded = error
        return error

    def _load_now(self) -> None:
        if self._blocking is None:
            raise SessionNotLoaded(
                "the session is not loaded: this application loads lazily, so call "
                "`await session.aload()` before using it"
            )
        self._blocking.load(self._x)

    def _writable(self) -> State:
        """The state, if what is written now can still be stored."""
        state = self._state()
        x = self._x
        if x.failure is not None:
            raise x.failure
        if x.started and (state.record is None or state.detached):
            raise ResponseStarted(
                "the response has started and this session has no cookie yet: write to it "
                "before the first byte is sent"
            )
        return state

    def _before_start(self, verb: str, state: State | None = None) -> State:
        """The state, for a verb whose result needs a cookie."""
        state = state or self._state()
        if self._x.failure is not None:
            raise self._x.failure
        if self._x.started:
            raise ResponseStarted(f"{verb}() needs a new cookie, but the response has started")
        return state

    # -- the mapping

    def __getitem__(self, key: str) -> Any:
        state = self._state()
        if key == self._x.rules.identity_key:
            if state.user_id is None:
                raise KeyError(key)
            return state.user_id
        return state.data.get(key)

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"session keys are str, not {type(key).__name__}: {key!r}")
        if key == self._x.rules.identity_key:
            self._identify(value)
            return
        self._writable().data.set(key, value)

    def __delitem__(self, key: str) -> None:
        if key == self._x.rules.identity_key:
            if self._state().user_id is None:
                raise KeyError(key)
            self._before_start("removing the identity").drop_identity()
            self._drop_sign_in_notes()
            return
        self._writable().data.delete(key)

    def __iter__(self) -> Iterator[str]:
        state = self._state()
        if self._x.rules.identity_key is not None and state.user_id is not None:
            yield self._x.rules.identity_key
        yield from state.data.iterate()

    def __len__(self) -> int:
        state = self._state()
        shown = self._x.rules.identity_key is not None and state.user_id is not None
        return len(state.data.data) + shown

    def __contains__(self, key: object) -> bool:
        state = self._state()
        if key == self._x.rules.identity_key and key is not None:
            return state.user_id is not None
        return key in state.data.data

    def __repr__(self) -> str:
        x = self._x
        if not x.loaded:
            return "<Session not loaded>"
        return f"<Session {x.state.id} user={x.state.user_id!r}>"

    def copy(self) -> dict[str, Any]:
        """A plain dict of the current items; later changes to it are not stored."""
        return dict(self.items())

    to_dict = copy

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.copy(), **other}

    def __ror__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**other, **self.copy()}

    def __ior__(self, other: Mapping[str, Any]) -> Self:
        self.update(other)
        return self

    def _drop_sign_in_notes(self) -> None:
        data = self._state().data
        for key in SIGN_IN_NOTES.intersection(data.data):
            data.delete(key)

    def _identify(self, value: object) -> None:
        """The identity key was set."""
        raise NotImplementedError
