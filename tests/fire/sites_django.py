"""Django's two handlers, as sites like those of the other frameworks.

There is one Django project in a process, so `Django` sets it up for both while it is open.
"""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import ExitStack, suppress
from typing import ClassVar

import tests.adapters.django.configured  # noqa: F401  # before anything of Django's

# isort: split
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import re_path

from openclaw_middleware import StoreError
from openclaw_middleware.adapters.django import conf
from openclaw_middleware.adapters.django import get_session as django_session
from openclaw_middleware.adapters.django.deployment import Deployment
from openclaw_middleware.core.steps import adrive, drive
from openclaw_middleware.runtime import Runtime

from .sites import Awaited, Threaded
from .visits import Answer, Handler, Visit, steps


def _view(request: HttpRequest) -> HttpResponse:
    handler = request.environ["handler"]
    reply = drive(steps(handler, lambda: Visit(django_session(request), False)))
    return HttpResponse(reply.body, status=reply.status, headers=dict(reply.headers))


async def _aview(request: HttpRequest) -> HttpResponse:
    handler = request.scope["handler"]
    if handler is not None:
        with suppress(StoreError):  # the handler meets it again
            await request.session.aload()
    reply = await adrive(steps(handler, lambda: Visit(django_session(request), True)))
    return HttpResponse(reply.body, status=reply.status, headers=dict(reply.headers))


class _Urls:
    urlpatterns: ClassVar = [re_path("^async/", _aview), re_path("", _view)]


class Django:
    """The one Django project of the process, set up for both its handlers while it is open."""

    def __init__(self, runtime: Deployment) -> None:
        self._open = ExitStack()
        middleware = ["openclaw_middleware.adapters.django.middleware.SessionMiddleware"]
        settings = override_settings(
            MIDDLEWARE=middleware, ROOT_URLCONF=_Urls, AUTH_USER_MODEL="project.Person"
        )
        self._open.enter_context(settings)
        self._open.enter_context(conf.using(runtime))

    def close(self) -> None:
        self._open.close()


class DjangoSite(Threaded):
    """Django's WSGI handler and sync views on the blocking store."""

    kind = "django"

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.app = WSGIHandler()


class DjangoAsyncSite(Awaited):
    """Django's ASGI handler and async views on the asyncio store."""

    kind = "django-async"

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.app = ASGIHandler()

    def begin(
        self, handler: Handler | None, cookie: str | None, path: str = "/", **headers: str
    ) -> Future[Answer]:
        return super().begin(handler, cookie, f"/async{path}", **headers)
