"""Our session with Django's plain calls on it, so that Django's own parts and third parties find
what they know from `SessionBase`.

What is written when, is the core's; `lifetime` has the expiry calls, `session` the a-prefixed
twins. No response and no cookie in here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import CreateError, SessionBase
from django.utils.module_loading import import_string

from ...core.changes import TrackedData
from ...core.exchange import Exchange
from ...core.state import Draft, State
from ...driver import AsyncDriver, Driver
from ...errors import SessionNotLoaded
from ...manager import SessionManager
from ...session import Session
from . import conf, identity
from .deployment import Deployment
from .lifetime import Lifetime


class PlainSession(Lifetime, Session, SessionBase):  # type: ignore[misc]  # two mappings
    """The blocking half of `DjangoSession`."""

    def __init__(self, exchange: Exchange, deployment: Deployment) -> None:
        self._x = exchange
        self._deployment = deployment
        self._refresh = False
        self._hash: str | None = None

    # Either colour works, and its store is opened when it is first needed.

    @property
    def _blocking(self) -> Driver:  # type: ignore[override]  # a slot of Session
        return self._deployment.blocking

    @property
    def _async(self) -> AsyncDriver:  # type: ignore[override]  # a slot of Session
        return self._deployment.asynchronous

    # -- reaching the data

    def _load_now(self) -> None:
        if _in_event_loop():
            raise SessionNotLoaded(
                "the session is not loaded, and a synchronous access cannot wait in an async view: "
                "use the awaitable twin, such as `await request.session.aget(...)`, or call "
                "`await request.session.aload()` once and go on as usual"
            )
        super()._load_now()

    def __bool__(self) -> bool:
        # As Django's sessions: `if request.session` asks whether there is one.
        return True

    def __getitem__(self, key: str) -> Any:
        if key in identity.SUPPLIED:
            return self._supplied(key)
        if key == self._x.rules.identity_key and not self._names_a_user():
            raise KeyError(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        if key in identity.SUPPLIED and not super().__contains__(key):
            return self._names_a_user()
        if key == self._x.rules.identity_key:
            return self._names_a_user()
        return super().__contains__(key)

    def __iter__(self) -> Iterator[str]:
        hidden = None if self._names_a_user() else self._x.rules.identity_key
        return (key for key in super().__iter__() if key != hidden)

    def __delitem__(self, key: str) -> None:
        if key in identity.SUPPLIED and not super().__contains__(key) and self._names_a_user():
            return
        super().__delitem__(key)

    def _names_a_user(self) -> bool:
        user_id = self._state().user_id
        return user_id is not None and identity.names_a_user(user_id)

    def _supplied(self, key: str) -> Any:
        state = self._state()
        if key in state.data.data or state.user_id is None or not self._names_a_user():
            return state.data.get(key)
        if key == identity.BACKEND_KEY:
            return self._vouching_backend()
        if self._hash is None:
            self._hash = identity.session_hash(state.user_id)
        return self._hash

    def _vouching_backend(self) -> str:
        path = conf.auth_backend()
        if path is None:
            raise KeyError(identity.BACKEND_KEY)
        return path

    def _identify(self, value: object) -> None:
        super()._identify(value)
        self._hash = None

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
        """As `Session.login`. Without a policy, what `set_expiry` asked for still holds; the same
        user's sign-in stays bound to the password it was made with."""
        notes = self._sign_in_notes() if self.user_id == str(user_id) else {}
        super().login(
            user_id,
            remember=remember,
            policy=policy,
            claims=claims,
            keep_data=keep_data,
            verified_at=verified_at,
        )
        if keep_data is not False:
            self.update(notes)
        self.carry_expiry(replaced=remember or policy is not None)

    def _sign_in_notes(self) -> dict[str, Any]:
        data = self._state().data.data
        return {key: data[key] for key in identity.SUPPLIED & data.keys()}

    def renew_sign_in(self) -> None:
        """Count a repeated sign-in of the same user as one: new id, absolute clock from now."""
        draft = self._state().draft
        if not (draft is not None and draft.login) and self.user_id is not None:
            self.login(self.user_id)

    def has_key(self, key: str) -> bool:
        """`key in session`, under Django's old name."""
        return key in self

    # -- the key

    @property
    def session_key(self) -> str | None:
        """The public id: stable, fit for tables and logs. None while nothing is stored and no new
        identity is under way, as in Django."""
        state = self._state()
        if state.draft is None and (state.record is None or state.detached):
            return None
        return state.id

    @property  # type: ignore[misc]  # Django's own is settable
    def _session_key(self) -> str | None:
        return self.session_key

    def is_empty(self) -> bool:
        """Nothing is stored and there are no data."""
        return self.session_key is None and not len(self)

    def cycle_key(self) -> None:
        """Give the session a new id and token with the response, keeping its data and identity."""
        state = self._before_start("cycle_key")
        if state.record is None and state.draft is None:
            state.draft = Draft(state.spare_token, None)
        else:
            state.regenerate()

    def flush(self) -> None:
        """Log out: remove the data and the identity; the old id is dead when the response leaves.

        What is written afterwards belongs to a fresh anonymous session.
        """
        self.logout()

    # -- the store

    def exists(self, session_key: str) -> bool:
        """Whether a live session has this public id."""
        self._refuse_event_loop("exists")
        return self._manager.get(self._public(session_key)) is not None

    def create(self) -> None:
        """Store the session now, under a new id."""
        self.cycle_key()
        self.save()

    def save(self, must_create: bool = False) -> None:
        """Commit now; an empty new session gets a record, too.

        Raises:
            CreateError: `must_create`, and the session is stored already.
            StoreUnavailable, StoreConflict, LoginRefused, SessionEnded: nothing was saved.
        """
        if must_create and not self.is_new:
            raise CreateError
        self._refuse_event_loop("save")
        super().save()

    def load(self) -> PlainSession:  # type: ignore[override]  # Django's answers a dict
        """Load the session now; harmless when it is loaded."""
        if not self._x.loaded:
            self._refuse_event_loop("load")
        super().load()
        return self

    def delete(self, session_key: str | None = None) -> None:
        """Log out; with the id of another session, end that one now."""
        if session_key is None or session_key == self.session_key:
            self.flush()
        else:
            self._refuse_event_loop("delete")
            self._manager.revoke(self._public(session_key))

    @classmethod
    def clear_expired(cls) -> None:
        """Remove records whose retention is over; for engines that do not do so themselves."""
        manager = SessionManager(conf.runtime())
        while manager.purge_expired(1000) >= 1000:
            pass

    @property
    def _manager(self) -> SessionManager:
        return SessionManager(self._deployment)

    def _public(self, session_key: str) -> str:
        """The public id of a key, which under the engine is a signed token."""
        token = self._deployment.desk.signer.verify(str(session_key))
        return str(session_key) if token is None else token.id

    def _refuse_event_loop(self, verb: str) -> None:
        if _in_event_loop():
            raise SessionNotLoaded(
                f"session.{verb}() would block an async view: use `await session.a{verb}()`"
            )

    # -- flags

    @property
    def accessed(self) -> bool:
        """The application has looked at the session; the response then varies by cookie."""
        return self._x.accessed

    @accessed.setter
    def accessed(self, value: bool) -> None:
        # Something to store stays something to store.
        self._x.accessed = bool(value) or self.modified

    @property
    def modified(self) -> bool:
        """This request has changed something that will be stored.

        Setting it to True starts the idle clock anew (changes are found without it); setting it
        to False takes back what this request did to the data so far.
        """
        return self._is_modified()

    @modified.setter
    def modified(self, value: bool) -> None:
        self._set_modified(value)

    def _is_modified(self) -> bool:
        return self._refresh or changed_by_request(self)

    def _set_modified(self, value: bool) -> None:
        self._refresh = bool(value)
        state = self._x.state
        if not value and state.decoded and state.draft is None:
            drop_changes(state)

    def settle(self) -> None:
        """Hand what `modified` asked for to the commit."""
        state: State = self._x.state
        if self._refresh and self._x.loaded and state.record is not None:
            state.keep_alive = True
        self._refresh = False

    # -- Django's inner names, for those who reach for them

    @property
    def _session(self) -> PlainSession:
        return self

    def _get_session(self, no_load: bool = False) -> PlainSession:
        return self

    @property
    def serializer(self) -> Any:
        """For `encode` and `decode`, which third parties use on dicts of their own."""
        return import_string(settings.SESSION_SERIALIZER)


def changed_by_request(session: Session) -> bool:
    """What `modified` says of a session outside Django."""
    return bool(Session.modified.fget(session))  # type: ignore[attr-defined]  # a property


def drop_changes(state: State) -> None:
    """Forget what this request did to the data; identity and intents stay."""
    if state.record is not None and not state.detached:
        state._data = None  # decoded anew on next use
    else:
        state._data = TrackedData(state._encode)


def _in_event_loop() -> bool:
    if os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE"):
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
