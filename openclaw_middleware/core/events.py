"""What happened, as small typed values: the one stream that metrics, audit and signals feed on.

Events carry public session ids, user ids and key names, never tokens, secrets or values. With no
listener an event costs one truth test and is not even built.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .record import EndReason

logger = logging.getLogger("openclaw_middleware")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events. `session_id` is the public id, None where there is no session."""

    session_id: str | None = None
    user_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCreated(Event):
    """A record was written for a session that had none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn(Event):
    """A user signed in; `previous_id` is the session this one replaced, if any."""

    previous_id: str | None = None
    policy: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginDenied(Event):
    """A sign-in did not take place; `cause` is "limit" or "superseded". `session_id` is the
    session the visitor came with, if any."""

    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regenerated(Event):
    """The session got a new id and token; `previous_id` is dead."""

    previous_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFinished(Event):
    """A session was ended."""

    reason: EndReason = EndReason.GONE


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadTokenPresented(Event):
    """A genuine token came for a session that is over; `reason` says why it is."""

    reason: EndReason = EndReason.GONE


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFinished(Event):
    """Every session of a user was ended; `count` of them were live (counted up to 1,000)."""

    reason: EndReason = EndReason.REVOKED
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated(Event):
    """A successor secret was offered to the client, or came into force."""

    generation: int = 0
    promoted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatReceived(Event):
    """An open page reported; `extended` tells whether the idle clock was moved."""

    extended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLost(Event):
    """A page found its session gone before either clock had run out.

    `reason` is what the server knows of it, None when the cookie is gone or the session alive;
    `state` what the page found ("ended", "anonymous", "replaced", "login_page");
    `believed_left` the seconds it thought there were.
    """

    reason: EndReason | None = None
    state: str = ""
    believed_left: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChanged(Event):
    """`use_policy` moved the limits."""

    policy: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesDropped(Event):
    """Changes or intents of a request were not stored; `cause` says why."""

    cause: str = ""
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collided(Event):
    """Two requests changed the same value; the later commit won."""

    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TheftSuspected(Event):
    """A retired secret was presented after its grace; the session was ended."""

    generation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreWentBack(Event):
    """A token is newer than its record: the store lost acknowledged writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordUnreadable(Event):
    """A stored record failed its tag, or was written by an unknown key, codec or version."""

    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CookieRejected(Event):
    """Cookies of our name were presented, but none (or several) carried our signature."""

    valid: int = 0
    presented: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFailed(Event):
    """The store failed during a request."""

    operation: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheHeaderReplaced(Event):
    """The application allowed shared caching on a response that sets our cookie."""

    header: str = ""


Listener = Callable[[Event], Any]


@dataclass(slots=True)
class Events:
    """The listeners of one deployment. A listener that raises is logged and does no harm."""

    listeners: list[Listener] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.listeners)

    def add(self, listeners: Iterable[Listener]) -> None:
        """Let more listeners hear every event from now on."""
        self.listeners.extend(listeners)

    def emit(self, event: Event) -> None:
        """Hand the event to each listener, in order."""
        for listener in self.listeners:
            try:
                listener(event)
            except Exception:
                logger.exception("a listener failed on %s", type(event).__name__)
