"""Find our cookie in a request, and word `Set-Cookie` for it; nothing about anybody else's.

One cookie is looked for, the jar is never parsed. The attributes are rendered once, when the
application starts. RFC 6265bis; the checks of what a browser would store live in the settings.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_COOKIE = 4096
MAX_TRIED = 4
EXPIRED = "Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"


@dataclass(frozen=True, slots=True)
class CookieSpec:
    """Name and attributes of the session cookie.

    `tail` and the whole deletion line repeat the same attributes, since a browser deletes only
    what matches name, domain and path, and takes it only with the original's Secure, SameSite
    and Partitioned.
    """

    name: str
    path: str = "/"
    domain: str | None = None
    secure: bool = True
    samesite: str = "Lax"
    partitioned: bool = False
    tail: str = field(init=False)

    def __post_init__(self) -> None:
        parts = ["; HttpOnly", f"; Path={self.path}", f"; SameSite={self.samesite}"]
        if self.domain:
            parts.append(f"; Domain={self.domain}")
        if self.secure:
            parts.append("; Secure")
        if self.partitioned:
            parts.append("; Partitioned")
        object.__setattr__(self, "tail", "".join(parts))

    def set(self, token: str, max_age: int | None = None) -> str:
        """The `Set-Cookie` value; `max_age` in seconds, None for a browser-session cookie."""
        lifetime = "" if max_age is None else f"; Max-Age={max_age}"
        return f"{self.name}={token}{lifetime}{self.tail}"

    def delete(self) -> str:
        """The `Set-Cookie` value that makes the browser forget the cookie."""
        return f"{self.name}=; {EXPIRED}{self.tail}"

    def find(self, header: str) -> list[str]:
        """Values of cookies with exactly this name, in order, at most `MAX_TRIED`.

        A value longer than `MAX_COOKIE` is left out: no browser sends one it was given by us.
        """
        if self.name not in header:
            return []
        found: list[str] = []
        for part in header.split(";"):
            name, equals, value = part.strip(" \t").partition("=")
            if equals and name.rstrip(" \t") == self.name:
                value = value.strip(" \t")
                # RFC 6265 section 4.1.1 lets a client put the value in quotes.
                if len(value) > 1 and value[0] == value[-1] == '"':
                    value = value[1:-1]
                if len(value) <= MAX_COOKIE and value not in found:
                    found.append(value)
                if len(found) == MAX_TRIED:
                    break
        return found
