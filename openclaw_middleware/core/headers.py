"""What a session does to the headers of a response: our cookie, `Vary`, shared caches, logouts.

Pure functions on `(name, value)` pairs; the drivers convert. RFC 9111, RFC 6265bis.
"""

from __future__ import annotations

import re

Headers = list[tuple[str, str]]

_QUOTED = re.compile(r'"[^"]*"?')
_CLOSED = frozenset(("private", "no-store"))
# To shared caches of their kind these count instead of `Cache-Control`, and browsers ignore them:
# RFC 9213 (`CDN-Cache-Control` and what ends so), ESI's, Akamai's, and nginx's seconds.
_TARGETED = re.compile(r"(?:.*-)?cdn-cache-control|surrogate-control|edge-control")
_NGINX = "x-accel-expires"


def add_vary(headers: Headers) -> Headers:
    """The headers with `Cookie` among the names of `Vary`, unless it is there or `*` is."""
    names = [
        part.strip().lower()
        for name, value in headers
        if name.lower() == "vary"
        for part in value.split(",")
    ]
    if "cookie" in names or "*" in names:
        return headers
    return [*headers, ("Vary", "Cookie")]


def shared_caching(headers: Headers) -> str | None:
    """The `Cache-Control` value by which the application lets shared caches store the response,
    or the header that it says so to some of them with, whole.

    None when it says nothing, or keeps them out.
    """
    for name, value in headers:
        if _invites(name, value):
            return f"{name}: {value}"
    value, directives = _cache_control(headers)
    if directives & _CLOSED:
        return None
    if directives & {"public", "s-maxage", "max-age", "must-revalidate", "immutable"}:
        return value
    expires = any(name.lower() == "expires" for name, _ in headers)
    return "Expires" if expires and not directives & {"no-cache"} else None


def keep_out_of_shared_caches(headers: Headers) -> Headers:
    """The headers with `private` or `no-store` in `Cache-Control`, and nothing that says otherwise
    to some caches; what was so stays as it was."""
    if any(_invites(*pair) for pair in headers):
        headers = [_uninviting(*pair) for pair in headers]
    _, directives = _cache_control(headers)
    if directives & _CLOSED:
        return headers
    rest = [pair for pair in headers if pair[0].lower() != "cache-control"]
    return [*rest, ("Cache-Control", "no-store")]


def _invites(name: str, value: str) -> bool:
    """Whether this header lets caches of some kind store what `Cache-Control` would not."""
    name = name.lower()
    if name == _NGINX:
        return value.strip() != "0"
    if _TARGETED.fullmatch(name) is None:
        return False
    directives = _directives(value)
    if directives == {"content"}:
        return False  # it only tells what is to be put together there
    closed = _CLOSED if name.endswith("cdn-cache-control") else {"no-store"}
    return not directives & closed


def _uninviting(name: str, value: str) -> tuple[str, str]:
    if not _invites(name, value):
        return name, value
    return name, "0" if name.lower() == _NGINX else "no-store"


def _cache_control(headers: Headers) -> tuple[str, set[str]]:
    """The whole value of `Cache-Control` and the names of its directives."""
    value = ", ".join(value for name, value in headers if name.lower() == "cache-control")
    return value, _directives(value)


def _directives(value: str) -> set[str]:
    """Their names, but those that hold for some fields only: a shared cache may keep the rest of
    `private="x-field"`."""
    names = set()
    for part in _QUOTED.sub("", value).split(","):
        name, equals, _ = part.partition("=")
        name = name.strip().lower()
        if not (equals and name in ("private", "no-cache")):
            names.add(name)
    return names


def with_default(headers: Headers, name: str, value: str) -> Headers:
    """The headers with this one, unless the application has set it itself or `value` is empty."""
    if not value or any(known.lower() == name.lower() for known, _ in headers):
        return headers
    return [*headers, (name, value)]
