"""The same views, asynchronous."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from django.contrib.auth import aauthenticate, alogin, alogout
from django.http import HttpRequest, HttpResponse, JsonResponse

task: Callable[[HttpRequest], Awaitable[Any]] | None = None


async def read(request: HttpRequest) -> HttpResponse:
    return JsonResponse(dict(await request.session.aitems()))


async def write(request: HttpRequest) -> HttpResponse:
    for key, value in request.GET.items():
        await request.session.aset(key, value)
    return HttpResponse("written", status=int(request.GET.get("status", "200")))


async def sign_in(request: HttpRequest) -> HttpResponse:
    name, password = request.GET["name"], request.GET["password"]
    user = await aauthenticate(request, username=name, password=password)
    if user is None:
        return HttpResponse("no", status=403)
    await alogin(request, user)
    return HttpResponse("hello")


async def sign_out(request: HttpRequest) -> HttpResponse:
    await alogout(request)
    return HttpResponse("bye")


async def whoami(request: HttpRequest) -> HttpResponse:
    user = await request.auser()
    return HttpResponse(user.get_username() or "nobody")


async def run(request: HttpRequest) -> HttpResponse:
    assert task is not None
    result = await task(request)
    return result if hasattr(result, "status_code") else HttpResponse(str(result))
