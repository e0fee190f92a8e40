"""FastAPI: the session as a typed dependency, and a dependency that demands a recent sign-in.

Works in `async def` and `def` endpoints and in WebSockets. The middleware is Starlette's; how a
session behaves is not decided here.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, HTTPException
from fastapi.requests import HTTPConnection

from ..errors import ReauthenticationRequired
from ..manager import AsyncSessionManager
from ..session import Session
from .starlette import SessionMiddleware, get_manager, get_session

__all__ = [
    "CurrentManager",
    "CurrentSession",
    "RecentLogin",
    "RecentLoginRequired",
    "SessionMiddleware",
    "get_manager",
    "get_session",
]


# Both are `async def` to be called where they are: FastAPI sends a plain `def` to a thread.
async def _session(connection: HTTPConnection) -> Session:
    return get_session(connection)


async def _manager(connection: HTTPConnection) -> AsyncSessionManager:
    return get_manager(connection)


CurrentSession = Annotated[Session, Depends(_session)]
"""The session of the request: `async def notes(session: CurrentSession)`."""

CurrentManager = Annotated[AsyncSessionManager, Depends(_manager)]
"""The manager of the application's sessions, to list and revoke them."""


class RecentLoginRequired(ReauthenticationRequired, HTTPException):
    """The sign-in that an endpoint demands is missing (401) or too old (403).

    FastAPI answers it like any `HTTPException`. A handler registered for
    `ReauthenticationRequired` goes before that, to redirect to a sign-in page for instance.

    Attributes:
        max_age: seconds the sign-in may be old.
        status_code: 401 when nobody is signed in, 403 when somebody is.
    """

    def __init__(self, max_age: float, *, signed_in: bool) -> None:
        late = f"A sign-in within the last {max_age:g} seconds is required"
        self.max_age = max_age
        HTTPException.__init__(
            self,
            403 if signed_in else 401,
            detail=late if signed_in else "Not authenticated",
            # RFC 9110 demands one with every 401; no browser asks for a password on this one.
            headers=None if signed_in else {"WWW-Authenticate": 'Cookie realm="session"'},
        )


def RecentLogin(max_age: float | timedelta) -> Any:
    """A dependency that demands a sign-in within the last `max_age` seconds.

        @app.post("/email", dependencies=[RecentLogin(300)])
        async def change_email(session: Annotated[Session, RecentLogin(300)]) -> ...

    Raises (within the request):
        RecentLoginRequired: answered 401 or 403; see there.
    """

    async def recent(connection: HTTPConnection) -> Session:
        session = get_session(connection)
        try:
            session.require_recent(max_age)
        except ReauthenticationRequired as error:
            signed_in = session.user_id is not None
            raise RecentLoginRequired(error.max_age, signed_in=signed_in) from None
        return session

    return Depends(recent)
