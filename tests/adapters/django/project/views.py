"""Plain views. `run` does what the test at hand gives it to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth import authenticate, login, logout
from django.http import HttpRequest, HttpResponse, JsonResponse

task: Callable[[HttpRequest], Any] | None = None


def public(request: HttpRequest) -> HttpResponse:
    return HttpResponse("public")


def read(request: HttpRequest) -> HttpResponse:
    return JsonResponse(dict(request.session.items()))


def write(request: HttpRequest) -> HttpResponse:
    for key, value in request.GET.items():
        request.session[key] = value
    return HttpResponse("written", status=int(request.GET.get("status", "200")))


def sign_in(request: HttpRequest) -> HttpResponse:
    user = authenticate(request, username=request.GET["name"], password=request.GET["password"])
    if user is None:
        return HttpResponse("no", status=403)
    login(request, user)
    return HttpResponse("hello")


def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse("bye")


def whoami(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.get_username() or "nobody")


def run(request: HttpRequest) -> HttpResponse:
    assert task is not None
    result = task(request)
    return result if hasattr(result, "status_code") else HttpResponse(str(result))
