"""The heartbeat over Django: read the call from the request, answer before any view runs."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from ...answers import Answer
from ...core.steps import adrive, drive
from ...heartbeat import Heartbeat
from ...heartbeat_calls import MAX_BODY, Call
from .deployment import Deployment
from .request import cookies_of, header_of
from .response import respond


def serve_heartbeat(deployment: Deployment, request: HttpRequest) -> HttpResponse | None:
    """The answer to a request to the heartbeat; None when it is a view's."""
    heartbeat = deployment.heartbeat
    call = None if heartbeat is None else _call(heartbeat, request)
    if heartbeat is None or call is None:
        return None
    answer = heartbeat.at_once(call) or _too_large(heartbeat, request)
    if answer is None:
        exchange = deployment.passive_exchange(cookies_of(request))
        answer = drive(heartbeat.serve(deployment.blocking, exchange, call, request.read()))
    return _response(answer, call)


async def aserve_heartbeat(deployment: Deployment, request: HttpRequest) -> HttpResponse | None:
    """`serve_heartbeat`, awaited."""
    heartbeat = deployment.heartbeat
    call = None if heartbeat is None else _call(heartbeat, request)
    if heartbeat is None or call is None:
        return None
    answer = heartbeat.at_once(call) or _too_large(heartbeat, request)
    if answer is None:
        exchange = deployment.passive_exchange(cookies_of(request))
        steps = heartbeat.serve(deployment.asynchronous, exchange, call, request.read())
        answer = await adrive(steps)
    return _response(answer, call)


def _response(answer: Answer, call: Call) -> HttpResponse:
    response = respond(answer)
    if call.method == "HEAD":
        response["Content-Length"] = str(len(answer.body))
        response.content = b""
    return response


def _call(heartbeat: Heartbeat, request: HttpRequest) -> Call | None:
    return heartbeat.call(
        request.method or "GET",
        request.path_info,
        "",
        request.META.get("QUERY_STRING", ""),
        header_of(request),
        request.META.get("REMOTE_ADDR"),
    )


def _too_large(heartbeat: Heartbeat, request: HttpRequest) -> Answer | None:
    # Django has the whole body at hand, and lets nobody read past the length it was told.
    length = request.META.get("CONTENT_LENGTH") or "0"
    fits = length.isdecimal() and int(length) <= MAX_BODY
    return None if fits else heartbeat.too_large()
