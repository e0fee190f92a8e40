"""What a session does to the headers of a response: our cookie, `Vary`, shared caches, logouts.

Pure functions on `(name, value)` pairs; the drivers convert. RFC 9111, RFC 6265bis.
"""

from __future__ import annotations

import re

Headers = list[tuple[str, str]]

_QUOTED = re.compile(r'"[^"]*"?')


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
    """The `Cache-Control` value by which the application lets shared caches store the response.

    None when it says nothing, or keeps them out.
    """
    value, directives = _cache_control(headers)
    if directives & {"private", "no-store"}:
        return None
    if directives & {"public", "s-maxage", "max-age", "must-revalidate", "immutable"}:
        return value
    expires = any(name.lower() == "expires" for name, _ in headers)
    return "Expires" if expires and not directives & {"no-cache"} else None


def keep_out_of_shared_caches(headers: Headers) -> Headers:
    """The headers with `private` or `no-store` in `Cache-Control`; what had it stays as it was."""
    _, directives = _cache_control(headers)
    if directives & {"private", "no-store"}:
        return headers
    rest = [pair for pair in headers if pair[0].lower() != "cache-control"]
    return [*rest, ("Cache-Control", "no-store")]


def _cache_control(headers: Headers) -> tuple[str, set[str]]:
    """The whole value and the names of its directives, but those that hold for some fields only:
    a shared cache may keep the rest of `private="x-field"`."""
    value = ", ".join(value for name, value in headers if name.lower() == "cache-control")
    names = set()
    for part in _QUOTED.sub("", value).split(","):
        name, equals, _ = part.partition("=")
        name = name.strip().lower()
        if not (equals and name in ("private", "no-cache")):
            names.add(name)
    return value, names


def with_default(headers: Headers, name: str, value: str) -> Headers:
    """The headers with this one, unless the application has set it itself or `value` is empty."""
    if not value or any(known.lower() == name.lower() for known, _ in headers):
        return headers
    return [*headers, (name, value)]
