"""Django's plain calls on our session, so that Django's own parts and third parties find what they
know from `SessionBase`.

What is written when, is the core's; `lifetime` has the expiry calls, `session` the a-prefixed
twins. No response and no cookie in here.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import CreateError
from django.utils.module_loading import import_string

from ...core.changes import TrackedData
from ...core.state import Draft, State
from ...errors import SessionNotLoaded
from ...manager import SessionManager
from ...session import Session
from . import conf
from .bridged import BridgedSession, in_event_loop


class PlainSession(BridgedSession):
    """The blocking half of `DjangoSession`."""

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
        state = self._before_start("cycle_key", self._loaded())
        if state.lapse is not None:
            # Where only a sign-in is possible it comes next, and brings a new key itself.
            return
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
        if in_event_loop():
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
