"""The FastAPI application. FastAPI has no log-in of its own: the session itself has one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.templating import Jinja2Templates

from openclaw_middleware import AsyncSessionManager, Session, SessionSettings
from openclaw_middleware.adapters.fastapi import CurrentSession, SessionMiddleware

from . import people
from .settings import COOKIE, SHARED

templates = Jinja2Templates(Path(__file__).parent / "templates")


def create_app() -> FastAPI:
    """The application; endpoints that ask the users' database are `def`, and run in threads."""
    app = FastAPI()
    settings = SessionSettings.load(app_settings={**SHARED, "COOKIE_NAME": COOKIE})
    app.state.sessions = AsyncSessionManager(settings)
    app.add_middleware(SessionMiddleware, sessions=app.state.sessions)

    @app.get("/")
    def index(request: Request, session: CurrentSession) -> Response:
        return templates.TemplateResponse(request, "card.html", about(session))

    @app.get("/me")
    def me(session: CurrentSession) -> dict[str, Any]:
        return about(session)

    @app.post("/sign-in")
    def sign_in(
        request: Request,
        session: CurrentSession,
        username: Annotated[str, Form()],
        password: Annotated[str, Form()],
    ) -> Response:
        person = people.check(username, password)
        if person is None:
            seen = {**about(session), "wrong": True}
            return templates.TemplateResponse(request, "card.html", seen, status_code=401)
        session.login(person.id)
        return RedirectResponse("/", 303)

    @app.post("/sign-out")
    async def sign_out(session: CurrentSession) -> Response:
        session.logout()
        return RedirectResponse("/", 303)

    @app.post("/sign-out-everywhere")
    async def sign_out_everywhere(session: CurrentSession) -> Response:
        """On every device, whichever of the three they signed in at."""
        if session.user_id is not None:
            session.logout_everywhere()
        return RedirectResponse("/", 303)

    @app.post("/visit")
    async def visit(session: CurrentSession) -> Response:
        session.apply("visits", lambda visits: visits + 1, default=0)
        return RedirectResponse("/", 303)

    return app


def about(session: Session) -> dict[str, Any]:
    """What this application sees of the visitor."""
    person = people.find(session.user_id)
    return {
        "by": "FastAPI",
        "prefix": "/fastapi",
        "user_id": None if person is None else person.id,
        "name": None if person is None else person.name,
        "visits": session.get("visits", 0),
    }
