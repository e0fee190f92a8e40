"""What the middleware did for one request, told in sentences; and the last few of them.

Listens from outside: the response's headers, the store's trips, the middleware's events.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openclaw_middleware import EndReason, SessionError
from openclaw_middleware.adapters.starlette import get_session
from openclaw_middleware.core import events as ev
from openclaw_middleware.core.steps import Steps
from openclaw_middleware.testing import Fault

TRIPS = {
    "load": "found your session",
    "save": "wrote the change",
    "create": "stored a new session",
    "succeed": "a new session replaced the old one",
    "end": "ended a session",
    "end_user": "ended all your sessions",
    "touch": "started the idle clock anew",
    "sessions_of": "listed your devices",
    "now": "asked for the time",
}

ENDS = {
    EndReason.IDLE: "You were away for longer than the idle clock allows.",
    EndReason.ABSOLUTE: "The session had reached the end of its second clock.",
    EndReason.SIGNED_OUT: "You signed out, here or everywhere.",
    EndReason.REVOKED: "It was ended from another of your devices.",
    EndReason.REPLACED: "A newer session took its place.",
    EndReason.LIMIT: "You signed in on more devices than are allowed.",
    EndReason.THEFT: "Somebody presented a cookie that had been replaced long ago.",
    EndReason.GONE: "It ended a while ago.",
}


@dataclass
class Story:
    """One request as the middleware saw it."""

    method: str
    path: str
    session_id: str | None = None
    status: int = 0
    trips: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)
    spent: float = 0.0

    @property
    def cookie(self) -> Cookie | None:
        """The last `Set-Cookie` of the response, without its value."""
        return Cookie.read(self.cookies[-1]) if self.cookies else None


@dataclass(frozen=True)
class Cookie:
    """A `Set-Cookie` header that may be shown: its value is left out."""

    name: str
    attributes: tuple[str, ...]

    @classmethod
    def read(cls, header: str) -> Cookie:
        """Name and attributes of a header."""
        pair, *attributes = header.split("; ")
        return cls(pair.partition("=")[0], tuple(attributes))

    @property
    def deleted(self) -> bool:
        """The header makes the browser forget the cookie."""
        return "Max-Age=0" in self.attributes


_current: ContextVar[Story | None] = ContextVar("story", default=None)


class Watch(Fault):
    """Writes each trip to the store into the story of the request that made it."""

    def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
        story = _current.get()
        if story is not None:
            story.trips.append(operation)
        answer = yield call()
        return answer


def listen(event: ev.Event) -> None:
    """Write what happened into the story of the request it happened in."""
    story = _current.get()
    if story is not None:
        story.events.append(sentence(event))


def sentence(event: ev.Event) -> str:
    """An event in words."""
    match event:
        case ev.SessionCreated():
            return "A session began, because there is something to remember now."
        case ev.LoggedIn(previous_id=None):
            return "Signed in: a session with a new id and a new secret."
        case ev.LoggedIn():
            return "Signed in: new id, new secret. The old ones open nothing any more."
        case ev.SessionFinished(reason=EndReason.REVOKED):
            return "Another device was signed out."
        case ev.SessionFinished():
            return "The session is over. Nothing that is still under way can bring it back."
        case ev.UserFinished(count=count):
            return f"Signed out everywhere: {count} session{'s' * (count != 1)} ended."
        case ev.DeadTokenPresented(reason=reason):
            return f"Your cookie names a session that is over. {ENDS[reason]}"
        case ev.Collided():
            return "Two requests changed the same value; the later one won."
        case ev.CookieRejected():
            return "A cookie of our name did not carry our signature: ignored, no lookup."
        case _:
            return type(event).__name__


class Stories:
    """The last requests of each session, for as long as the server runs."""

    def __init__(self, *, sessions: int = 200, each: int = 6) -> None:
        self._told: OrderedDict[str, deque[Story]] = OrderedDict()
        self._sessions, self._each = sessions, each

    def of(self, session_id: str | None) -> list[Story]:
        """Finished requests of a session, the latest first."""
        return list(self._told.get(session_id or "", ()))[::-1]

    def keep(self, story: Story, session_id: str | None) -> None:
        """Add a story; a session that got a new id takes its stories along."""
        told = self._told.pop(story.session_id or "", None)
        if session_id is None:
            return
        told = told or self._told.pop(session_id, None) or deque(maxlen=self._each)
        told.append(story)
        self._told[session_id] = told
        while len(self._told) > self._sessions:
            self._told.popitem(last=False)


class StoryMiddleware:
    """Stands outside the session middleware and notes what comes out of it."""

    def __init__(self, app: ASGIApp, stories: Stories) -> None:
        self.app = app
        self.stories = stories

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/static"):
            await self.app(scope, receive, send)
            return
        story = scope["demo.story"] = Story(scope["method"], scope["path"])
        token = _current.set(story)

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                story.status = message["status"]
                story.spent = time.perf_counter() - story.began
                story.cookies = [
                    value.decode("latin-1")
                    for name, value in message["headers"]
                    if name == b"set-cookie"
                ]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            _current.reset(token)
            # A store that is away has no session to hang the story on.
            with suppress(SessionError):
                session = get_session(scope)
                self.stories.keep(story, None if session.is_new else session.id)
