"""One origin for the three applications, as a reverse proxy would make it.

Of sessions it knows only to close their stores at the end. Each application could as well be a
process or a machine of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from a2wsgi import WSGIMiddleware
from django.core.asgi import get_asgi_application
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from openclaw_middleware.adapters import django, flask

from . import fastapi_app, flask_app

HERE = Path(__file__).parent


async def landing(_: Request) -> FileResponse:
    """A page with a frame for each application, which answers for itself."""
    return FileResponse(HERE / "templates" / "landing.html")


class SameOriginForms:
    """Refuses a form that another site has sent, for all three alike."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            headers = Request(scope).headers
            site, origin = headers.get("sec-fetch-site"), headers.get("origin")
            foreign = site not in (None, "same-origin", "none")
            if foreign or (origin and urlsplit(origin).netloc != headers.get("host")):
                refusal = PlainTextResponse("This form came from another site.\n", 403)
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)


def create_app() -> Starlette:
    """Everything behind one origin. Django is set up by now, its tables are there."""
    in_flask, in_fastapi = flask_app.create_app(), fastapi_app.create_app()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        flask.get_manager(in_flask).close()
        await in_fastapi.state.sessions.close()
        django.get_manager().close()
        await django.aget_manager().close()

    files = StaticFiles(directory=HERE / "static", packages=[("django.contrib.admin", "static")])
    return Starlette(
        routes=[
            Route("/", landing),
            Mount("/django", cast(Any, get_asgi_application())),
            # Not asgiref's bridge: it never closes a response, and Flask tidies up on closing.
            Mount("/flask", cast(Any, WSGIMiddleware(cast(Any, in_flask)))),
            Mount("/fastapi", in_fastapi),
            Mount("/static", files),
        ],
        middleware=[Middleware(SameOriginForms)],
        lifespan=lifespan,
    )
