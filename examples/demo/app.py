"""The application: sign in as anyone, keep notes, see your devices, sign out.

Everything it knows is in the session; it has no database of its own. No JavaScript is needed.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Receive, Scope, Send

from openclaw_middleware import AsyncSessionManager, Session
from openclaw_middleware.adapters.starlette import (
    SessionMiddleware,
    get_manager,
    get_session,
    session_keeper,
)

from .place import settings_in
from .story import ENDS, TRIPS, Stories, StoryMiddleware, Watch, listen
from .words import ago, browser, clock, clocks

HERE = Path(__file__).parent
MOST_NOTES, LONGEST_NOTE, LONGEST_NAME = 50, 280, 40

templates = Jinja2Templates(HERE / "templates")
templates.env.filters.update(ago=ago, browser=browser, clock=clock)
templates.env.globals.update(why=TRIPS, session_keeper=session_keeper)

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def enter(request: Request) -> Session:
    """The session of the request, noted in its story."""
    session = get_session(request)
    request.scope["demo.story"].session_id = None if session.is_new else session.id
    return session


async def page(request: Request) -> Response:
    """The one page. Its story is complete, because headers are decided before the body."""
    session = enter(request)
    said = session.pop("said", None)
    ended = session.previous_end
    devices = []
    if session.user_id is not None:
        found = await get_manager(request).sessions_of(session.user_id, limit=20)
        devices = sorted(found.items, key=lambda info: info.id != session.id)
    context = {
        "request": request,
        "user": session.user_id,
        "notes": list(session.get("notes", ())),
        "said": said,
        "ended": None if ended is None or said else ENDS[ended],
        "devices": devices,
        "limits": {"note": LONGEST_NOTE, "name": LONGEST_NAME},
    }

    async def body() -> AsyncIterator[str]:
        story = request.scope["demo.story"]
        stories: Stories = request.app.state.stories
        yield templates.env.get_template("page.html").render(
            context,
            session=session,
            clocks=clocks(session.info),
            story=story,
            earlier=stories.of(story.session_id),
        )

    return StreamingResponse(body(), media_type="text/html", headers=HEADERS)


async def sign_in(request: Request) -> Response:
    """Anyone may be anyone here. Notes written before come along."""
    session, form = enter(request), await request.form()
    name = str(form.get("name", "")).strip()[:LONGEST_NAME]
    if name and name != session.user_id:
        short = "short" if form.get("short") == "on" else None
        session.login(name, remember=form.get("remember") == "on", policy=short)
        session["said"] = f"Hello, {name}."
    return home()


async def add_note(request: Request) -> Response:
    """A plain append: two tabs that append at once both keep their note."""
    session, form = enter(request), await request.form()
    text = str(form.get("text", "")).strip()[:LONGEST_NOTE]
    notes = session.setdefault("notes", []) if text else []
    if text and len(notes) < MOST_NOTES:
        notes.append({"id": secrets.token_hex(4), "text": text, "at": time.time()})
    return home()


async def drop_note(request: Request) -> Response:
    """An atomic change: done again on whatever another tab has written meanwhile."""
    session, form = enter(request), await request.form()
    gone = form.get("id")
    session.apply("notes", lambda notes: [n for n in notes if n["id"] != gone], default=[])
    return home()


async def sign_out(request: Request) -> Response:
    """This browser only. What is written afterwards belongs to a fresh session."""
    session = enter(request)
    session.logout()
    session["said"] = "You are signed out here. The session and its notes are gone."
    return home()


async def sign_out_everywhere(request: Request) -> Response:
    """Every session of this user, in one step."""
    session = enter(request)
    if session.user_id is not None:
        session.logout_everywhere()
        session["said"] = "You are signed out on every device."
    return home()


async def end_device(request: Request) -> Response:
    """One other session of this user; anybody else's is left alone."""
    session, form = enter(request), await request.form()
    if session.user_id is not None:
        session.end_other(str(form.get("id", "")))
    return home()


def home() -> Response:
    """Back to the page, with a GET that can be reloaded."""
    return RedirectResponse("/", status_code=303)


class SameOriginForms:
    """Refuses a form that another site has sent: SameSite=Lax, and the browser's own word."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            headers = Request(scope).headers
            site, origin = headers.get("sec-fetch-site"), headers.get("origin")
            ours = site in ("same-origin", "none") if site else True
            if origin is not None and urlsplit(origin).netloc != headers.get("host"):
                ours = False
            if not ours:
                answer = PlainTextResponse("This form came from another site.\n", 403)
                await answer(scope, receive, send)
                return
        await self.app(scope, receive, send)


def build(folder: Path) -> Starlette:
    """The application, with its sessions in the folder."""
    stories = Stories()
    manager = AsyncSessionManager(settings_in(folder, Watch()), listeners=[listen])

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        yield
        await manager.close()

    routes = [
        Route("/", page),
        Route("/sign-in", sign_in, methods=["POST"]),
        Route("/notes", add_note, methods=["POST"]),
        Route("/notes/drop", drop_note, methods=["POST"]),
        Route("/sign-out", sign_out, methods=["POST"]),
        Route("/sign-out-everywhere", sign_out_everywhere, methods=["POST"]),
        Route("/devices/end", end_device, methods=["POST"]),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]
    middleware = [
        Middleware(StoryMiddleware, stories=stories),
        Middleware(SessionMiddleware, sessions=manager),
        Middleware(SameOriginForms),
    ]
    app = Starlette(routes=routes, middleware=middleware, lifespan=lifespan)
    app.state.stories = stories
    return app
