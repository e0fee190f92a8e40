"""The responses the middleware gives itself: 503 when the store is away, 409 on a lost race."""

from __future__ import annotations

from dataclasses import dataclass

from .core.headers import Headers
from .errors import LoginRefused, SessionEnded, StoreError

RETRY_AFTER = "5"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    status: int
    phrase: str
    headers: Headers
    body: bytes


def answer_for(error: BaseException, cookies: list[str]) -> Answer | None:
    """What the client is told, None when the error is not ours to answer.

    Args:
        cookies: `Set-Cookie` values that go with it (a logout that failed still clears the
            browser).
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
    return None
