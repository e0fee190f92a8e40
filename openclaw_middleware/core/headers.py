"""What a session does to the headers of a response: our cookie, `Vary`, and shared caches.

Pure functions on `(name, value)` pairs; the drivers convert. RFC 9111, RFC 6265bis.
"""

from __future__ import annotations

Headers = list[tuple[str, str]]


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
    value = ", ".join(value for name, value in headers if name.lower() == "cache-control")
    directives = {part.partition("=")[0].strip().lower() for part in value.split(",")}
    if directives & {"private", "no-store"}:
        return None
    if directives & {"public", "s-maxage", "max-age", "must-revalidate", "immutable"}:
        return value
    expires = any(name.lower() == "expires" for name, _ in headers)
    return "Expires" if expires and not directives & {"no-cache"} else None


def keep_out_of_shared_caches(headers: Headers) -> Headers:
    """The headers with `private` or `no-store` in `Cache-Control`; what had it stays as it was."""
    value = ", ".join(value for name, value in headers if name.lower() == "cache-control")
    directives = {part.partition("=")[0].strip().lower() for part in value.split(",")}
    if directives & {"private", "no-store"}:
        return headers
    rest = [pair for pair in headers if pair[0].lower() != "cache-control"]
    return [*rest, ("Cache-Control", "no-store")]
