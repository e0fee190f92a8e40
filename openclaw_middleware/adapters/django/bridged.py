"""Our session as a mapping that `django.contrib.auth` understands, loaded when it is reached for.

The identity key and what Django keeps beside it are bridged here; Django's verbs are in `plain`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import PermissionDenied

from ...core.exchange import Exchange
from ...driver import AsyncDriver, Driver
from ...errors import ReauthenticationRequired, SessionNotLoaded
from ...session import Session
from . import conf, identity
from .deployment import Deployment
from .lifetime import Lifetime


class FreshSignInRequired(ReauthenticationRequired, PermissionDenied):
    """The demand in Django's own words: raised in a middleware it is no server error either."""


class BridgedSession(Lifetime, Session, SessionBase):  # type: ignore[misc, override]  # two mappings
    """The mapping half of `DjangoSession`.

    Where a fresh sign-in is asked for, `request.user` is anonymous, so that Django's own checks of
    it and its sign-in and sign-out work; reading anything else raises.
    """

    _reauthentication = FreshSignInRequired

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
        if in_event_loop():
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
        state = self._loaded()
        user_id = state.user_id
        return state.lapse is None and user_id is not None and identity.names_a_user(user_id)

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
        notes = self._sign_in_notes() if self._loaded().user_id == str(user_id) else {}
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
        data = self._loaded().data.data
        return {key: data[key] for key in identity.SUPPLIED & data.keys()}

    def renew_sign_in(self) -> None:
        """Count a repeated sign-in of the same user as one: new id, absolute clock from now."""
        draft = self._state().draft
        if not (draft is not None and draft.login) and self.user_id is not None:
            self.login(self.user_id)

    def has_key(self, key: str) -> bool:
        """`key in session`, under Django's old name."""
        return key in self


def in_event_loop() -> bool:
    if os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE"):
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
