"""What the core may know of a Django request."""

from __future__ import annotations

from django.http import HttpRequest

from ...client import Header
from ...core.exchange import Exchange
from .deployment import Deployment


def exchange_of(deployment: Deployment, request: HttpRequest) -> Exchange | None:
    """The exchange of one Django request, None where `skip_paths` says there is no session."""
    return deployment.exchange(
        cookies_of(request),
        request.path,
        request.method or "GET",
        header_of(request),
        request.META.get("REMOTE_ADDR"),
        request.META.get("QUERY_STRING", ""),
        request.META.get("SCRIPT_NAME", ""),
    )


def header_of(request: HttpRequest) -> Header:
    """Looks up a header by lower-case name."""
    meta = request.META

    def header(wanted: str) -> str | None:
        value: str | None = meta.get("HTTP_" + wanted.upper().replace("-", "_"))
        return value

    return header


def cookies_of(request: HttpRequest) -> str:
    """The `Cookie` header. Django joins several by commas, which HTTP/2 sends as a matter of course
    and which are no separators of cookies."""
    scope = getattr(request, "scope", None)
    if scope is None:
        plain: str = request.META.get("HTTP_COOKIE", "")
        return plain
    found = [value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"]
    return "; ".join(found)
