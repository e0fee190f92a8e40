"""What a session does to a Django response: cookies, `Vary`, caching, and our own answers.

`Set-Cookie` goes through `response.cookies`, where Django's handlers, its test client and other
middleware look for it. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import Morsel
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from ...answers import Answer, answer_for
from ...core.events import logger
from ...core.exchange import Exchange

_LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]", "testserver"})


class SetCookie(Morsel[str]):
    """One `Set-Cookie` line as the core worded it, its attributes readable as on any morsel."""

    def __init__(self, line: str) -> None:
        super().__init__()
        pair, *attributes = line.split("; ")
        name, _, value = pair.partition("=")
        self.set(name, value, value)
        for attribute in attributes:
            key, _, text = attribute.partition("=")
            # Partitioned is unknown to Python before 3.14; the line has it all the same.
            if self.isReservedKey(key):
                super().__setitem__(key, text or True)
        self.line = line

    def OutputString(self, attrs: Any = None) -> str:
        return self.line

    def output(self, attrs: Any = None, header: str = "Set-Cookie:") -> str:
        # Django's handlers ask for an empty header, and would send the blank after it.
        return f"{header} {self.line}".lstrip()

    # http.cookies keeps only what it knows, and Django's cache pickles responses.
    def __getstate__(self) -> dict[str, Any]:
        return {"key": self.key, "value": self.value, "line": self.line}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.set(state["key"], state["value"], state["value"])
        self.line = state["line"]


def apply_headers(x: Exchange, response: HttpResponseBase) -> None:
    """Give the response what this session adds to its headers."""
    before = list(response.items())
    lines = []
    for name, value in x.finish_headers(before):
        if name == "Set-Cookie":
            lines.append(value)
        elif (name, value) not in before:
            if name == "Vary":
                patch_vary_headers(response, (value,))
            else:
                response[name] = value
    _set_cookies(response, lines)


def _set_cookies(response: HttpResponseBase, lines: list[str]) -> None:
    # The last line is today's cookie; earlier ones delete variants, which may have its name.
    for left, line in enumerate(lines, 1 - len(lines)):
        morsel = SetCookie(line)
        key = f"{morsel.key} {left}" if left else morsel.key
        response.cookies.pop(key, None)
        dict.__setitem__(response.cookies, key, morsel)


def refusal(error: BaseException, x: Exchange) -> HttpResponse | None:
    """The response the client gets instead, None when the error is not ours to answer."""
    answer = answer_for(error, x.parting_cookies(), x.request.sign_in)
    if answer is None:
        return None
    x.veil()
    return respond(answer)


def respond(answer: Answer) -> HttpResponse:
    """An answer of ours as a Django response."""
    response = HttpResponse(answer.body, status=answer.status, reason=answer.phrase)
    lines = []
    for name, value in answer.headers:
        if name == "Set-Cookie":
            lines.append(value)
        else:
            response[name] = value
    _set_cookies(response, lines)
    return response


def closers(response: HttpResponseBase) -> list[Callable[[], object]]:
    """What Django calls when the server closes the response; its own handlers add to it."""
    closers: list[Callable[[], object]] = response._resource_closers  # type: ignore[attr-defined]
    return closers


_warned = False


def warn_of_plain_http(x: Exchange, request: HttpRequest) -> None:
    """Say once that browsers drop a Secure cookie that came over plain http from another host."""
    global _warned
    if _warned or x.cookie is None or not x.desk.cookie.secure or request.is_secure():
        return
    host = request.META.get("HTTP_HOST") or request.META.get("SERVER_NAME", "")
    host = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if host in _LOCAL or host.endswith(".localhost"):
        return
    _warned = True
    logger.warning(
        "a Secure session cookie was sent over plain http to %a, where browsers drop it: serve "
        "https, tell Django of the proxy that does (SECURE_PROXY_SSL_HEADER), or set "
        "SESSION_COOKIE_SECURE = False",
        host,
    )
