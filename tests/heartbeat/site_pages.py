"""One small site for browser tests of the heartbeat: the same pages in three frameworks.

What a page is stands once, as a function of an `Ask`; a framework only carries it. No server and
no test in here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from html import escape
from typing import Any, ClassVar

from openclaw_middleware import Session
from openclaw_middleware.runtime import Runtime

POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; report-uri /csp"
)
"""As strict as it gets: nothing inline, nothing from elsewhere, no strings made into markup."""


@dataclass(frozen=True)
class Ask:
    """A request as a page sees it.

    Attributes:
        keeper: what the framework's own template helper makes of these attributes.
    """

    session: Session
    path: str
    keeper: Callable[[dict[str, str]], str]
    form: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What a page answers."""

    body: str
    status: int = 200
    kind: str = "text/html; charset=utf-8"
    location: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        told = {"Content-Type": self.kind, "Content-Security-Policy": POLICY}
        return told if self.location is None else {**told, "Location": self.location}


def page(ask: Ask) -> Answer:
    """The page itself. What its query says become attributes of the `<session-keeper>`."""
    user = ask.session.user_id
    if user is None:
        return Answer("", 303, location=f"/login?next={ask.path}")
    text = escape(str(ask.session.get("text", "")))
    return _document(
        f"{escape(user)} is here",
        f"""
<form method="post" action="/save">
  <label for="text">Your text</label> <input id="text" name="text" value="{text}">
  <button>Save</button>
</form>
<form method="post" action="/logout"><button>Leave</button></form>
{ask.keeper(dict(ask.query))}""",
    )


def login_page(ask: Ask) -> Answer:
    """Who is signed in already may sign in anew. The query names a policy."""
    policy = escape(ask.query.get("policy", ""))
    return _document(
        "Please sign in",
        f"""
<form method="post" action="/login">
  <input type="hidden" name="policy" value="{policy}">
  <label for="name">Your name</label> <input id="name" name="name">
  <button>Sign in</button>
</form>
{ask.keeper({})}""",
    )


def login(ask: Ask) -> Answer:
    """Sign in as anybody, under any policy."""
    ask.session.login(ask.form["name"], policy=ask.form.get("policy") or None)
    return Answer("", 303, location="/")


def logout(ask: Ask) -> Answer:
    ask.session.logout()
    return Answer("", 303, location="/login")


def save(ask: Ask) -> Answer:
    """What the page is for: nothing typed may be lost."""
    ask.session["text"] = ask.form["text"]
    return Answer("", 303, location="/")


def renew(ask: Ask) -> Answer:
    """A new id and secret for the same visit."""
    ask.session.regenerate()
    return Answer("", 303, location="/")


def me(ask: Ask) -> Answer:
    """What a single-page application asks."""
    user = ask.session.user_id
    return Answer(json.dumps(user), 401 if user is None else 200, "application/json")


def reported(ask: Ask) -> Answer:
    """The browser blocked something. That it was asked is in the site's log."""
    return Answer("", 200, "text/plain")


def _document(title: str, body: str) -> Answer:
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    return Answer(f"{head}</head><body><main><h1>{title}</h1>{body}</main></body></html>")


PAGES: dict[tuple[str, str], Callable[[Ask], Answer]] = {
    ("GET", "/"): page,
    ("GET", "/area/"): page,
    ("GET", "/login"): login_page,
    ("POST", "/login"): login,
    ("POST", "/logout"): logout,
    ("POST", "/save"): save,
    ("POST", "/renew"): renew,
    ("GET", "/me"): me,
    ("POST", "/csp"): reported,
}
PATHS = tuple(dict.fromkeys(path for _, path in PAGES))


def starlette_app(runtime: Runtime) -> Any:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from openclaw_middleware.adapters.starlette import (
        SessionMiddleware,
        get_session,
        session_keeper,
    )

    async def view(request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        path = request.url.path

        def keeper(attributes: dict[str, str]) -> str:
            return session_keeper(request, **attributes)  # type: ignore[arg-type]

        ask = Ask(get_session(request), path, keeper, form, request.query_params)
        answer = PAGES[request.method, path](ask)
        return Response(answer.body, answer.status, answer.headers)

    app = Starlette(routes=[Route(path, view, methods=["GET", "POST"]) for path in PATHS])
    app.add_middleware(SessionMiddleware, sessions=runtime)
    return app


def flask_app(runtime: Runtime) -> Any:
    from flask import Flask, Response, render_template_string, request

    from openclaw_middleware.adapters.flask import OpenClaw, get_session

    app = Flask("site", static_folder=None)
    OpenClaw(app, sessions=runtime)

    def keeper(attributes: dict[str, str]) -> str:
        return render_template_string("{{ session_keeper(**given) }}", given=attributes)

    def view() -> Response:
        ask = Ask(get_session(), request.path, keeper, request.form, request.args)
        answer = PAGES[request.method, request.path](ask)
        return Response(answer.body, answer.status, answer.headers)

    for path in PATHS:
        app.add_url_rule(path, path, view, methods=["GET", "POST"])
    return app


def django_app(runtime: Runtime) -> Any:
    """The process's one Django project, on its WSGI handler."""
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="tests only: not the sessions' key",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=_DjangoUrls,
        MIDDLEWARE=[
            "openclaw_middleware.adapters.django.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
        ],
        DEBUG_PROPAGATE_EXCEPTIONS=True,
        INSTALLED_APPS=["openclaw_middleware.adapters.django"],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
            }
        ],
    )
    django.setup()
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpRequest, HttpResponse
    from django.template import engines
    from django.urls import path as route

    from openclaw_middleware.adapters.django import conf, get_session

    def view(request: HttpRequest) -> HttpResponse:
        def keeper(attributes: dict[str, str]) -> str:
            given = {name.replace("-", "_"): value for name, value in attributes.items()}
            arguments = " ".join(f"{name}={name}" for name in given)
            template = engines["django"].from_string(
                f"{{% load openclaw %}}{{% session_keeper {arguments} %}}"
            )
            return str(template.render(given, request))

        form, query = request.POST.dict(), request.GET.dict()
        ask = Ask(get_session(request), request.path, keeper, form, query)
        answer = PAGES[str(request.method), request.path](ask)
        return HttpResponse(answer.body, status=answer.status, headers=answer.headers)

    _DjangoUrls.urlpatterns = [route(path.removeprefix("/"), view) for path in PATHS]
    _for_good.enter_context(conf.using(runtime))  # type: ignore[arg-type]
    return WSGIHandler()


_for_good = ExitStack()


class _DjangoUrls:
    urlpatterns: ClassVar[list[Any]] = []


APPS = {"starlette": starlette_app, "flask": flask_app, "django": django_app}
