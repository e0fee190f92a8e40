"""`SESSION_ENGINE = "openclaw_middleware.adapters.django.engine"`: our sessions under whoever knows
Django's engines: the stock middleware, the test client, Channels, `clearsessions`.

A compatibility level: what needs the response (503, timed rotation, the cookie's attributes) is
the middleware's and not kept here. `session_key` is the signed token, that is, the cookie.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.contrib.sessions.backends.base import CreateError, UpdateError

from ...core.contract import Ended, Missing
from ...core.cookies import MAX_COOKIE
from ...core.desk import Desk
from ...core.exchange import Exchange
from ...core.request import RequestInfo
from ...core.steps import Steps
from ...core.token import Token
from ...errors import LoginRefused, SessionEnded, StoreError
from . import conf
from .session import DjangoSession


class _Exchange(Exchange):
    """Notices that another request ended the session under a write of this one.

    The stock middleware would send the dead token again after a save that only seemed to work.
    """

    overtaken = False

    def __init__(self, desk: Desk, token: Token | None) -> None:
        super().__init__(desk, RequestInfo())
        self.token = token
        self.loaded = token is None

    def _find_token(self) -> Token | None:
        return self.token

    def trip(self, verb: str, *args: Any, **keywords: Any) -> Steps[Any]:
        answer = yield from super().trip(verb, *args, **keywords)
        if verb in ("save", "succeed") and isinstance(answer, Ended | Missing):
            self.overtaken = True
        return answer


class SessionStore(DjangoSession):
    """A session by its signed token.

    Args:
        session_key: the value of the cookie. Anything we did not sign is nobody's session; a
            public id opens nothing: see `SessionManager.open`.
    """

    _x: _Exchange
    _saved = False

    def __init__(self, session_key: str | None = None) -> None:
        deployment = conf.runtime()
        token = None
        if session_key and len(session_key) <= MAX_COOKIE:
            token = deployment.desk.signer.verify(session_key)
        super().__init__(_Exchange(deployment.engine_desk, token), deployment)

    @property
    def session_key(self) -> str | None:
        """The signed token: whoever has it has the session. None while nothing is stored."""
        token = self._token()
        return None if token is None else self._deployment.desk.signer.sign(token)

    def _token(self) -> Token | None:
        x = self._x
        if x.state.draft is not None:
            return x.state.draft.token
        if x.loaded and (x.state.record is None or x.state.detached):
            return None
        return x.token

    def is_empty(self) -> bool:
        """Whether the stock middleware may delete the cookie. Never for a token that was dead when
        it came: that answer could meet the new cookie of a sign-in in another tab."""
        x = self._x
        if x.dead or self._token() is not None:
            return False
        return not (x.state.decoded and len(self))

    # -- use counts as activity, since nobody tells us of the response

    def _load_now(self) -> None:
        super()._load_now()
        if self._used():
            with suppress(StoreError):
                self._blocking.touch(self._x)

    def load(self) -> SessionStore:  # type: ignore[override]  # Django's answers a dict
        """Load the session now; harmless when it is loaded."""
        self._refuse_event_loop("load")
        self._state()
        return self

    async def aload(self) -> SessionStore:  # type: ignore[override]  # Django's answers a dict
        """`load`, awaited. Afterwards the plain calls work in an async view as well."""
        fresh = not self._x.loaded
        await super().aload()
        if fresh and self._used():
            with suppress(StoreError):
                await self._async.touch(self._x)
        return self

    def _used(self) -> bool:
        self._x.accessed = True
        return self._x.touch_due()

    # -- writing, at once

    def _is_modified(self) -> bool:
        # As in Django it stays so after a save: only then does the stock middleware set the cookie
        # of a session the application saved itself.
        return self._saved or super()._is_modified()

    def _set_modified(self, value: bool) -> None:
        self._saved = False
        super()._set_modified(value)

    def save(self, must_create: bool = False) -> None:
        """Store the session; concurrent changes are merged.

        Raises:
            CreateError: `must_create`, and the session is stored already.
            UpdateError: the session was ended or replaced by another request, or the sign-in was
                refused. Nothing that would need a new cookie has happened.
            StoreUnavailable, StoreConflict: nothing was saved.
        """
        self._refuse_event_loop("save")
        self._prepare(must_create)
        try:
            self._blocking.commit(self._x)
        except (SessionEnded, LoginRefused) as error:
            raise UpdateError(str(error)) from error
        self._refuse_overtaken()
        if self._x.touch_due():
            self._blocking.touch(self._x)

    async def asave(self, must_create: bool = False) -> None:
        """`save`, awaited."""
        await self.aload()
        self._prepare(must_create)
        try:
            await self._async.commit(self._x)
        except (SessionEnded, LoginRefused) as error:
            raise UpdateError(str(error)) from error
        self._refuse_overtaken()
        if self._x.touch_due():
            await self._async.touch(self._x)

    def _prepare(self, must_create: bool) -> None:
        if must_create and not self.is_new:
            raise CreateError
        self._mark_explicit()
        self.settle()
        self._saved = True
        x = self._x
        x.overtaken, x.cookie = False, None
        # A secret handed out or promoted here would not reach the browser.
        x.hand_out, x.promote = None, False

    def _refuse_overtaken(self) -> None:
        if self._x.overtaken and self._x.cookie is None:
            raise UpdateError("the session was ended by another request")

    async def acreate(self) -> None:
        """`create`, awaited."""
        await self.aload()
        self.cycle_key()
        await self.asave()

    def flush(self) -> None:
        """Log out now: the stock middleware saves nothing that is empty."""
        if not self._x.loaded:
            self._refuse_event_loop("flush")
        self.logout()
        if self._writes():
            self._refuse_event_loop("flush")
            self._blocking.commit(self._x)
        self._forget()

    async def aflush(self) -> None:
        """`flush`, awaited."""
        if not self._x.loaded and self._x.failure is None:
            await self._async.load(self._x)
        self.logout()
        if self._writes():
            await self._async.commit(self._x)
        self._forget()

    def _writes(self) -> bool:
        return self._x.state.ending is not None or self._x.failure is not None

    def _forget(self) -> None:
        x = self._x
        self._saved = False
        x.token = x.cookie = None
        x.dead = False
        x.loaded = True

    def clear(self) -> None:
        """Remove data and identity, and log out, now."""
        self.flush()
