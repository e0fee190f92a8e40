"""The dependencies of FastAPI, and what application authors' type checkers say of all this."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Request, Response, WebSocket
from fastapi.responses import RedirectResponse
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from openclaw_middleware import ReauthenticationRequired, Session, SessionSettings
from openclaw_middleware.adapters.fastapi import (
    CurrentManager,
    CurrentSession,
    RecentLogin,
    SessionMiddleware,
)
from openclaw_middleware.testing import Clock
from openclaw_middleware.testing.clients import login, session_of, set_clock
from tests.architecture import ROOT

TYPED = Path(__file__).with_name("typed_applications.py")


def basket(session: CurrentSession) -> list[str]:
    return list(session.setdefault("basket", []))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(clock: Clock) -> FastAPI:
    settings = SessionSettings.for_tests()
    set_clock(settings, clock)
    app = FastAPI()
    app.add_middleware(SessionMiddleware, sessions=settings)

    @app.get("/async")
    async def in_loop(session: CurrentSession) -> int:
        session["n"] = session.get("n", 0) + 1
        return int(session["n"])

    @app.get("/def")
    def in_thread(session: CurrentSession) -> int:
        session["n"] = session.get("n", 0) + 1
        return int(session["n"])

    @app.get("/nested")
    def nested(request: Request, basket: Annotated[list[str], Depends(basket)]) -> list[str]:
        request.session["basket"].append("pear")
        return basket

    @app.websocket("/ws")
    async def talk(websocket: WebSocket, session: CurrentSession) -> None:
        await websocket.accept()
        session["said"] = await websocket.receive_text()
        await websocket.send_json(session.user_id)
        await websocket.close()

    @app.post("/email", dependencies=[RecentLogin(300)])
    async def change_email() -> str:
        return "changed"

    @app.get("/secrets")
    def secrets(session: Annotated[Session, RecentLogin(300)]) -> str | None:
        return session.user_id

    @app.websocket("/secrets")
    async def secret_talk(
        websocket: WebSocket, session: Annotated[Session, RecentLogin(300)]
    ) -> None:
        await websocket.accept()
        await websocket.send_json(session.user_id)

    @app.get("/devices")
    async def devices(session: CurrentSession, manager: CurrentManager) -> list[str | None]:
        page = await manager.sessions_of(session.user_id)
        return [info.id for info in page.items]

    return app


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app)


def test_the_session_in_async_and_plain_endpoints(client: TestClient) -> None:
    """A plain `def` runs in a thread; both see one session."""
    assert client.get("/async").json() == 1
    assert client.get("/def").json() == 2
    assert client.get("/async").json() == 3


def test_the_session_in_dependencies_of_dependencies(client: TestClient) -> None:
    assert client.get("/nested").json() == []
    assert client.get("/nested").json() == ["pear"]


def test_the_session_in_a_websocket(client: TestClient) -> None:
    login(client, 7)
    with client.websocket_connect("/ws") as socket:
        socket.send_text("hello")
        assert socket.receive_json() == "7"
    assert session_of(client)["said"] == "hello"


def test_the_manager(client: TestClient) -> None:
    session = login(client, 7)
    assert client.get("/devices").json() == [session.id]


def test_the_parameters_are_not_part_of_the_documented_interface(app: FastAPI) -> None:
    """A dependency that reads a connection asks the caller for nothing."""
    described = app.openapi()["paths"]
    assert all("parameters" not in verb for path in described.values() for verb in path.values())


class TestRecentLogin:
    """Nobody, or somebody too long ago: 401 from the middleware. In time: the session."""

    def test_answers(self, client: TestClient, clock: Clock) -> None:
        for _ in range(2):
            refused = client.post("/email")
            assert refused.status_code == 401
            assert refused.text == "a sign-in within the last 300 seconds is required\n"
            assert refused.headers["www-authenticate"] == 'Cookie realm="session", max_age="300"'
            assert refused.headers["cache-control"] == "no-store"
            login(client, 7)
            assert client.post("/email").json() == "changed"
            clock.advance(301)

    def test_it_hands_over_the_session(self, client: TestClient) -> None:
        assert client.get("/secrets").status_code == 401
        login(client, 7)
        assert client.get("/secrets").json() == "7"

    def test_an_anonymous_session_is_nobody(self, client: TestClient) -> None:
        login(client, None, n=1)
        assert client.get("/secrets").status_code == 401

    def test_in_a_websocket_the_handshake_is_refused(
        self, client: TestClient, clock: Clock
    ) -> None:
        for _ in range(2):
            with (
                pytest.raises(WebSocketDisconnect) as refused,
                client.websocket_connect("/secrets"),
            ):
                pass
            assert (refused.value.code, refused.value.reason) == (3000, "Unauthorized")
            login(client, 7)
            with client.websocket_connect("/secrets") as socket:
                assert socket.receive_json() == "7"
            clock.advance(301)

    def test_an_application_may_send_people_to_its_sign_in(
        self, app: FastAPI, client: TestClient
    ) -> None:
        """One handler serves the dependency and `session.require_recent` alike."""

        @app.exception_handler(ReauthenticationRequired)
        async def again(request: Request, error: ReauthenticationRequired) -> Response:
            return RedirectResponse(f"/sign-in?within={error.max_age:g}", status_code=303)

        answer = client.post("/email", follow_redirects=False)
        assert answer.headers["location"] == "/sign-in?within=300"


def mypy(path: Path) -> str:
    """What `mypy --strict` says of a file of an application."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout


def test_applications_pass_a_strict_type_check() -> None:
    """Every name an application author uses, with the type its documentation promises."""
    assert "Success: no issues found in 1 source file" in mypy(TYPED)


def test_the_type_check_sees_mistakes(tmp_path: Path) -> None:
    """Else `Any` everywhere would have passed as well."""
    wrong = TYPED.read_text().replace("session.login(", "session.log_in(")
    wrong = wrong.replace("max_age=3600", 'max_age="1 h"')
    (tmp_path / "wrong.py").write_text(wrong)
    said = mypy(tmp_path / "wrong.py")
    assert '"Session" has no attribute "log_in"' in said
    assert 'Argument "max_age"' in said
