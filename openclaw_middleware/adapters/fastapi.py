"""FastAPI: the session as a typed dependency, and a dependency that demands a recent sign-in.

Works in `async def` and `def` endpoints and in WebSockets. The middleware is Starlette's; how a
session behaves is not decided here.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends
from fastapi.requests import HTTPConnection

from ..manager import AsyncSessionManager
from ..session import Session
from .starlette import SessionMiddleware, get_manager, get_session

__all__ = [
    "CurrentManager",
    "CurrentSession",
    "RecentLogin",
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


def RecentLogin(max_age: float | timedelta) -> Any:
    """A dependency that demands a sign-in within the last `max_age` seconds.

        @app.post("/email", dependencies=[RecentLogin(300)])
        async def change_email(session: Annotated[Session, RecentLogin(300)]) -> ...

    Raises (within the request):
        ReauthenticationRequired: answered 401, or by sending a person to `login_url`. A handler
            registered for it goes before that.
    """

    async def recent(connection: HTTPConnection) -> Session:
        session = get_session(connection)
        await session.aload()
        session.require_recent(max_age)
        return session

    return Depends(recent)
