"""The heartbeat over WSGI: read the call from the environ, answer it with `start_response`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .answers import Answer
from .core.steps import drive
from .heartbeat_calls import MAX_BODY
from .runtime import Runtime

_DIGITS = 9


def serve_heartbeat(
    runtime: Runtime, environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes] | None:
    """Answer the request if it is one to the heartbeat; None when it is the application's."""
    answer = _answer(runtime, environ)
    if answer is None:
        return None
    headers = list(answer.headers)
    if answer.status not in (204, 304):
        headers.append(("Content-Length", str(len(answer.body))))
    start_response(f"{answer.status} {answer.phrase}", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]


def stated_length(environ: dict[str, Any]) -> int | None:
    """The bytes a request says its body has, 0 if it does not say; None for too many or none that
    can be counted."""
    length = environ.get("CONTENT_LENGTH") or "0"
    # So many digits that they cannot be read are no number to Python.
    if not length.isdecimal() or len(length) > _DIGITS or int(length) > MAX_BODY:
        return None
    return int(length)


def _answer(runtime: Runtime, environ: dict[str, Any]) -> Answer | None:
    heartbeat = runtime.heartbeat
    if heartbeat is None:
        return None

    def header(wanted: str) -> str | None:
        value: str | None = environ.get("HTTP_" + wanted.upper().replace("-", "_"))
        return value

    call = heartbeat.call(
        environ.get("REQUEST_METHOD", "GET"),
        environ.get("PATH_INFO", ""),
        "",
        environ.get("QUERY_STRING", ""),
        header,
        environ.get("REMOTE_ADDR"),
    )
    if call is None:
        return None
    answer = heartbeat.at_once(call)
    if answer is not None:
        return answer
    chunked = "HTTP_TRANSFER_ENCODING" in environ
    length = stated_length(environ)
    if length is None:
        return heartbeat.too_large()
    if chunked and not environ.get("wsgi.input_terminated"):
        return heartbeat.incomplete()
    expected = MAX_BODY + 1 if chunked else length
    body = environ["wsgi.input"].read(expected) if expected else b""
    if len(body) > MAX_BODY:
        return heartbeat.too_large()
    if not chunked and len(body) < expected:
        return heartbeat.incomplete()
    exchange = runtime.passive_exchange(environ.get("HTTP_COOKIE", ""))
    return drive(heartbeat.serve(runtime.blocking, exchange, call, body))
