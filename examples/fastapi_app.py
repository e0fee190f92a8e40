"""A FastAPI application with sessions, and its author's own test.

Run it:   export OPENCLAW_SESSION__SECRET_KEY=$(openclaw-middleware new-key)
          export OPENCLAW_SESSION__STORE=sqlite:///sessions.db
          uvicorn --factory examples.fastapi_app:create_app
Test it:  pytest examples/fastapi_app.py
"""

from __future__ import annotations

import secrets

from fastapi import FastAPI, HTTPException, WebSocket
from fastapi.testclient import TestClient
from pydantic import BaseModel

from openclaw_middleware import SessionSettings
from openclaw_middleware.adapters.fastapi import (
    CurrentManager,
    CurrentSession,
    RecentLogin,
    SessionMiddleware,
)
from openclaw_middleware.testing import login, session_of


class Credentials(BaseModel):
    """What the sign-in form sends."""

    name: str
    password: str


def create_app(settings: SessionSettings | None = None) -> FastAPI:
    """The application; without settings, those of the environment (OPENCLAW_SESSION__...)."""
    app = FastAPI()
    app.add_middleware(SessionMiddleware, sessions=settings or SessionSettings.load())

    @app.post("/sign-in")
    async def sign_in(form: Credentials, session: CurrentSession) -> str:
        if not secrets.compare_digest(form.password.encode(), b"open sesame"):
            raise HTTPException(401, "Wrong name or password")
        session.login(form.name)
        return form.name

    @app.get("/me")
    def me(session: CurrentSession) -> str | None:
        return session.user_id

    @app.post("/likes")
    def like(session: CurrentSession) -> int:
        """A hundred at once count to a hundred."""
        return int(session.apply("likes", lambda likes: likes + 1, default=0))

    @app.get("/devices")
    async def devices(session: CurrentSession, manager: CurrentManager) -> list[str | None]:
        return [info.id for info in (await manager.sessions_of(session.user_id)).items]

    @app.delete("/account", dependencies=[RecentLogin(300)])
    async def delete_account(session: CurrentSession) -> str:
        """401 for a stranger, 403 when the sign-in is older than five minutes."""
        session.logout_everywhere()
        return "gone"

    @app.websocket("/chat")
    async def chat(websocket: WebSocket, session: CurrentSession) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            session.setdefault("said", []).append(text)
            await session.asave()
            await websocket.send_text(f"{session.user_id}: {text}")

    return app


def test_likes() -> None:
    """`for_tests()`: a memory store, and a cookie that travels to http://testserver."""
    client = TestClient(create_app(SessionSettings.for_tests()))
    assert client.post("/likes").json() == 1
    assert client.post("/likes").json() == 2


def test_chat_is_remembered() -> None:
    """`login()` goes past the views; `session_of()` looks at what they stored."""
    client = TestClient(create_app(SessionSettings.for_tests()))
    login(client, "ada")
    with client.websocket_connect("/chat") as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "ada: hello"
        assert session_of(client)["said"] == ["hello"]


def test_only_a_fresh_sign_in_deletes_the_account() -> None:
    """All sessions of the user end, on every device."""
    app = create_app(SessionSettings.for_tests())
    here, there = TestClient(app), TestClient(app)
    assert here.delete("/account").status_code == 401
    login(there, "ada")
    here.post("/sign-in", json={"name": "ada", "password": "open sesame"})
    assert len(here.get("/devices").json()) == 2
    assert here.delete("/account").json() == "gone"
    assert there.get("/me").json() is None
