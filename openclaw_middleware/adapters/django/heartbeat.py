"""The heartbeat over Django: read the call from the request, answer before any view runs."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from ...core.steps import Steps
from ...heartbeat_calls import MAX_BODY
from ...wsgi_heartbeat import stated_length
from .deployment import Deployment
from .request import cookies_of, header_of
from .response import respond


def serve_heartbeat(
    deployment: Deployment, driver: Any, request: HttpRequest
) -> Steps[HttpResponse | None]:
    """Answer a request to the heartbeat; None when it is a view's.

    Args:
        driver: the deployment's of either colour; the steps are run in the same.
    """
    heartbeat = deployment.heartbeat
    if heartbeat is None:
        return None
    call = heartbeat.call(
        request.method or "GET",
        request.path_info,
        "",
        request.META.get("QUERY_STRING", ""),
        header_of(request),
        request.META.get("REMOTE_ADDR"),
    )
    if call is None:
        return None
    answer = heartbeat.at_once(call)
    body = b""
    if answer is None:
        body = request.read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            answer = heartbeat.too_large()
        elif not _whole(request, body):
            answer = heartbeat.incomplete()
    if answer is None:
        exchange = deployment.passive_exchange(cookies_of(request))
        answer = yield from heartbeat.serve(driver, exchange, call, body)
    response = respond(answer)
    if call.method == "HEAD":
        response["Content-Length"] = str(len(answer.body))
        response.content = b""
    return response


def _whole(request: HttpRequest, body: bytes) -> bool:
    """Whether this is all of the body. Under ASGI Django has waited for its end; under WSGI it
    shows nothing of one without a length."""
    if hasattr(request, "scope"):
        return True
    if "HTTP_TRANSFER_ENCODING" in request.META:
        return False
    return len(body) == stated_length(request.META)
