"""Applications of Starlette and FastAPI as authors type them; read by mypy, never run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, assert_type

from fastapi import FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from openclaw_middleware import AsyncSessionManager, Session, SessionInfo, SessionSettings
from openclaw_middleware.adapters.fastapi import CurrentManager, CurrentSession, RecentLogin
from openclaw_middleware.adapters.starlette import (
    SessionMiddleware,
    get_manager,
    get_session,
    require_recent,
)

settings = SessionSettings(secret_key="0" * 32, store="memory://", idle_timeout=600)


async def home(request: Request) -> Response:
    session = get_session(request)
    assert_type(session, Session)
    assert_type(get_session(request.scope), Session)
    assert_type(get_manager(request), AsyncSessionManager)
    assert_type(session.user_id, str | None)
    assert_type(session.info, SessionInfo)
    assert_type(session | {"a": 1}, dict[str, Any])
    session.login(7, remember=True)
    session["theme"] = "dark"
    request.session["theme"] = "light"
    await session.asave()
    page = await get_manager(request).sessions_of(7, limit=10)
    assert_type(page.items, tuple[SessionInfo, ...])
    return PlainTextResponse(session["theme"])


@require_recent(300)
async def delete(request: Request) -> Response:
    return PlainTextResponse("gone")


endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = delete

app = Starlette(
    routes=[Route("/", home)],
    middleware=[Middleware(SessionMiddleware, sessions=settings)],
)
app.add_middleware(SessionMiddleware, sessions=settings, load="lazy")
app.add_middleware(
    SessionMiddleware, secret_key="0" * 32, store="memory://", max_age=3600, same_site="strict"
)

api = FastAPI()
api.add_middleware(SessionMiddleware, sessions=settings)


@api.get("/")
async def read(session: CurrentSession, manager: CurrentManager) -> str | None:
    assert_type(session, Session)
    assert_type(manager, AsyncSessionManager)
    return session.user_id


@api.get("/secrets", dependencies=[RecentLogin(300)])
def secrets(session: Annotated[Session, RecentLogin(300)]) -> str | None:
    assert_type(session, Session)
    return session.user_id


@api.websocket("/ws")
async def talk(websocket: WebSocket, session: CurrentSession) -> None:
    assert_type(get_session(websocket), Session)
    await websocket.accept()
