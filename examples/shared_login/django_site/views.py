"""The site's pages. Signing in and out is `django.contrib.auth`, used as its manual says."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from openclaw_middleware.adapters.django import get_session


def index(request: HttpRequest, wrong: bool = False) -> HttpResponse:
    seen = about(request, request.user) | {"wrong": wrong, "csrf": get_token(request)}
    return render(request, "card.html", seen, status=401 if wrong else 200)


async def me(request: HttpRequest) -> HttpResponse:
    """Asynchronous, to show that it makes no difference."""
    await get_session(request).aload()
    return JsonResponse(about(request, await request.auser()))


@require_POST
def sign_in(request: HttpRequest) -> HttpResponse:
    form = request.POST
    user = authenticate(request, username=form["username"], password=form["password"])
    if user is None:
        return index(request, wrong=True)
    login(request, user)
    return redirect("/")


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("/")


@require_POST
def visit(request: HttpRequest) -> HttpResponse:
    get_session(request).apply("visits", lambda visits: visits + 1, default=0)
    return redirect("/")


class ChangePassword(PasswordChangeView):
    """Django's own page, and the other devices are signed out.

    By itself Django notices a changed password when it next sees a session that it signed in; the
    other applications would not ask.
    """

    template_name = "password.html"
    success_url = "/"

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        get_session(self.request).logout_others()
        return response


def about(request: HttpRequest, user: Any) -> dict[str, Any]:
    """What this application sees of the visitor."""
    return {
        "by": "Django",
        "prefix": "/django",
        "user_id": str(user.pk) if user.is_authenticated else None,
        "name": user.get_username() if user.is_authenticated else None,
        "visits": request.session.get("visits", 0),
    }
