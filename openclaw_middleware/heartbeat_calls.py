"""A request to the heartbeat: what is asked, whether this page may ask it, what its body says.

Cross-site requests are refused here, before a session is looked at. Nothing about sessions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .answers import Answer
from .core.headers import Headers

MAX_BODY = 1024
CLIENT_HEADER = "x-session-client"
"""No form and no link can send it, and a script of another site needs a permission for it that
is never given (Fetch, CORS-safelisted request-headers)."""

METHODS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "status": ("GET", "HEAD"),
        "heartbeat": ("POST",),
        "logout": ("POST",),
        "lost": ("POST",),
        "client.js": ("GET", "HEAD"),
    }
)


_USUAL_PORTS: Mapping[str, str] = MappingProxyType({"http": ":80", "https": ":443"})


@dataclass(frozen=True, slots=True)
class Call:
    """One request below the heartbeat's prefix.

    Attributes:
        name: the path below the prefix.
        query: what stands behind the question mark.
        header: looks up a request header by lower-case name.
        trusted: the request comes from one of our proxies, so `X-Forwarded-Host` is believed.
    """

    method: str
    name: str
    query: str
    header: Callable[[str], str | None]
    trusted: bool = False

    @property
    def parameters(self) -> dict[str, str]:
        """The query, the last of equal names."""
        return {name: values[-1] for name, values in parse_qs(self.query).items()}


@dataclass(frozen=True, slots=True)
class Report:
    """What a page says of itself.

    Attributes:
        idle: seconds since its person last acted, in any of its tabs.
        path: where the page is, None when it does not say.
        state: with what a session believed alive was found gone.
        believed_left: seconds the page thought the session had left.
    """

    idle: float = 0.0
    path: str | None = None
    state: str = ""
    believed_left: float = 0.0


class BadReport(ValueError):
    """The body is not what a page of ours sends."""


def refusal(call: Call) -> Answer | None:
    """The answer to a request that no page of this site makes, None for one that may go on."""
    allowed = METHODS.get(call.name)
    if allowed is None:
        return answer(404, "Not Found", "there is nothing of this name here")
    if call.method not in allowed:
        refused = answer(405, "Method Not Allowed", f"use {allowed[0]}")
        refused.headers.append(("Allow", ", ".join(allowed)))
        return refused
    if call.name == "client.js":
        return None
    if call.method == "POST" and call.header(CLIENT_HEADER) is None:
        return answer(403, "Forbidden", f"the header {CLIENT_HEADER} is missing")
    if not _same_origin(call):
        return answer(403, "Forbidden", "the request comes from another site")
    return None


def _same_origin(call: Call) -> bool:
    """Whether the page that asks is of this very origin, as far as the browser tells.

    `Sec-Fetch-Site` is the browser's own word. Where it is missing (plain http, old browsers) the
    host of `Origin` must be the one that was asked.
    """
    site = call.header("sec-fetch-site")
    if site is not None:
        return site == "same-origin" or (site == "none" and call.method != "POST")
    origin = call.header("origin")
    if origin is None:
        return True
    hosts = [call.header("host") or ""]
    if call.trusted:
        hosts.append((call.header("x-forwarded-host") or "").split(",")[-1].strip())
    try:
        asking = urlsplit(origin)
    except ValueError:
        return False
    # Browsers leave the usual port out, and there are proxies that put it in.
    port = _USUAL_PORTS.get(asking.scheme, "")
    asked = {host.lower().removesuffix(port) for host in hosts}
    # `Origin: null` has no host, nor has HTTP/1.0.
    return asking.netloc != "" and asking.netloc.lower() in asked


def report_of(body: bytes) -> Report:
    """What the body of a POST says; an empty one says nothing.

    Raises:
        BadReport: it is not a JSON object, or a field has a type of its own.
    """
    if not body:
        return Report()
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise BadReport("the body is no JSON") from None
    if not isinstance(found, dict):
        raise BadReport("the body is no JSON object")
    return Report(
        idle=_number(found, "idle"),
        path=_text(found, "path", None),
        state=_text(found, "state", "") or "",
        believed_left=_number(found, "believed_left"),
    )


def _number(found: dict[str, Any], name: str) -> float:
    value = found.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadReport(f"{name} is no number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isnan(number):
        raise BadReport(f"{name} is no number")
    # A clock that was set back is no reason to refuse anybody.
    return min(max(0.0, number), 1e10)


def _text(found: dict[str, Any], name: str, default: str | None) -> str | None:
    value = found.get(name, default)
    if value is not None and not isinstance(value, str):
        raise BadReport(f"{name} is no text")
    return value


def answer(status: int, phrase: str, detail: str) -> Answer:
    """A refusal, as JSON."""
    return json_answer(status, phrase, {"state": "refused", "detail": detail})


def json_answer(status: int, phrase: str, content: object) -> Answer:
    """An answer no cache keeps."""
    common: Headers = [
        ("Content-Type", "application/json"),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    return Answer(status, phrase, common, json.dumps(content).encode())
