"""The responses the middleware gives itself: 503 when the store is away, 409 on a lost race, 401 or
a redirect to the sign-in page where a fresh sign-in is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .core.headers import Headers
from .errors import LoginRefused, ReauthenticationRequired, SessionEnded, StoreError

RETRY_AFTER = "5"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    status: int
    phrase: str
    headers: Headers
    body: bytes


def answer_for(
    error: BaseException, cookies: list[str], sign_in: Callable[[], str | None] | None = None
) -> Answer | None:
    """What the client is told, None when the error is not ours to answer.

    Args:
        cookies: `Set-Cookie` values that go with it (a logout that failed still clears the
            browser).
        sign_in: answers the address where somebody is sent to sign in anew; see `RequestInfo`.
    """
    headers: Headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Cache-Control", "no-store"),
        ("Vary", "Cookie"),
        *(("Set-Cookie", value) for value in cookies),
    ]
    if isinstance(error, StoreError):
        return Answer(
            503,
            "Service Unavailable",
            [*headers, ("Retry-After", RETRY_AFTER)],
            b"Your session is out of reach for a moment. Nothing was lost: please try again.\n",
        )
    if isinstance(error, LoginRefused | SessionEnded):
        return Answer(409, "Conflict", headers, f"{error}\n".encode())
    if isinstance(error, ReauthenticationRequired):
        address = sign_in() if sign_in is not None else None
        if address is not None:
            return Answer(
                303, "See Other", [*headers, ("Location", address)], b"Please sign in again.\n"
            )
        challenge = ("WWW-Authenticate", _challenge(error))
        return Answer(401, "Unauthorized", [*headers, challenge], f"{error}\n".encode())
    return None


def _challenge(error: ReauthenticationRequired) -> str:
    """RFC 9110 demands one with every 401; no browser asks for a password on this one. `max_age` is
    that of RFC 9470."""
    age = "" if error.idle else f', max_age="{error.max_age:g}"'
    return f'Cookie realm="session"{age}'
