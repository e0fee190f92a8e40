"""Starlette and FastAPI applications as runners of the scenarios."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.responses import Response as PlainResponse
from starlette.responses import StreamingResponse
from starlette.routing import Route

from openclaw_middleware.adapters import fastapi as fastapi_adapter
from openclaw_middleware.adapters import starlette as starlette_adapter

from .runners import asgi_request
from .world import Call, Response, World, answer

METHODS = ["GET", "HEAD", "POST", "OPTIONS"]


class StarletteRunner:
    """A Starlette application with our middleware in place of Starlette's."""

    name = "starlette"
    eager = True
    skips: ClassVar[dict[str, str]] = {}
    adapter: Any = starlette_adapter

    def __init__(self, world: World) -> None:
        self.loop = asyncio.Runner()
        self.app = self._application()
        self.app.add_middleware(self.adapter.SessionMiddleware, sessions=world.runtime("async"))

    def _application(self) -> Any:
        return Starlette(routes=[Route("/{path:path}", self._view, methods=METHODS)])

    async def _view(self, request: Request) -> PlainResponse:
        reply = answer(request.scope["call"].handler, lambda: self.adapter.get_session(request))
        response: PlainResponse = PlainResponse(reply.body, reply.status)
        if reply.late is not None:
            session = self.adapter.get_session(request)
            response = StreamingResponse(reply.chunks(session), reply.status)
        for name, value in reply.headers:
            response.headers.append(name, value)
        return response

    def request(self, call: Call) -> Response:
        return self.loop.run(asgi_request(self.app, call))

    def close(self) -> None:
        self.loop.close()


class FastAPIRunner(StarletteRunner):
    """A FastAPI application with the same middleware."""

    name = "fastapi"
    adapter = fastapi_adapter

    def _application(self) -> FastAPI:
        app = FastAPI()
        app.add_api_route("/{path:path}", self._view, methods=METHODS, response_model=None)
        return app
