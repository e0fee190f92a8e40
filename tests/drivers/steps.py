"""What scenarios are made of: a step with its demands, handlers, and what happens in between.

A step is one request: a handler (given the session, or None: not even looked at), what the store
is asked, what the response carries, what is stored afterwards. No framework is known in here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from openclaw_middleware import ResponseStarted, Session

from .world import Handler, Reply, World

Cookie = Literal["none", "set", "deleted"]
Stored = list[tuple[str | None, dict[str, Any]]]
IDENTITY = "_user_id"

NO_STORE = "no-store"
NAVIGATION = (("sec-fetch-dest", "document"),)
FETCH = (("sec-fetch-dest", "empty"),)


@dataclass(frozen=True)
class Step:
    """One request and what is demanded of it.

    Attributes:
        handler: None leaves the session alone.
        trips: store calls, those after the response included; `eager` where a runner loads first.
        cookie: whether the response sets the cookie, deletes it, or says nothing.
        vary: whether it varies by cookie.
        cache: its `Cache-Control`, "" for none.
        stored: user and data of each live session afterwards, oldest first.
        sends: the `Cookie` header instead of the browser's jar.
        before: done to the world first.
        raises: what reaches the server where no framework answers it; headers count for nothing.
    """

    handler: Handler | None = None
    trips: int | None = None
    eager: int | None = None
    status: int = 200
    cookie: Cookie | None = None
    vary: bool | None = None
    cache: str | None = None
    stored: Stored | None = None
    body: str | None = None
    browser: str = "a"
    method: str = "GET"
    path: str = "/"
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    sends: Callable[[World], str] | None = None
    before: Callable[[World], object] | None = None
    raises: type[BaseException] | None = None
    check: Callable[[World, Any], object] | None = None


@dataclass(frozen=True)
class Scenario:
    """Steps in their order, in a world with these settings."""

    name: str
    steps: tuple[Step, ...]
    settings: dict[str, Any] = field(default_factory=dict)


# -- handlers


def write(**values: Any) -> Handler:
    return lambda session: session.update(values)


def read(key: str = "a") -> Handler:
    return lambda session: session.get(key)


def login(user: object = "u1", **keywords: Any) -> Handler:
    return lambda session: session.login(user, **keywords)


def logout(session: Session) -> None:
    session.logout()


def then(*handlers: Handler, status: int = 200) -> Handler:
    def handle(session: Session) -> Reply:
        for each in handlers:
            each(session)
        return Reply(status=status)

    return handle


def replying(handler: Handler, **reply: Any) -> Handler:
    def handle(session: Session) -> Reply:
        handler(session)
        return Reply(**reply)

    return handle


def crash(session: Session) -> None:
    raise ZeroDivisionError("on purpose")


def swallow(handler: Handler, *errors: type[Exception]) -> Handler:
    """The handler answers with the error's text, and the request goes on."""

    def handle(session: Session) -> str:
        with pytest.raises(errors) as caught:
            handler(session)
        return str(caught.value)

    return handle


def late(change: Callable[[Session], object], *, first: Handler | None = None) -> Handler:
    """A stream that does something after its first chunk has left."""

    def handle(session: Session) -> Reply:
        if first is not None:
            first(session)
        return Reply(late=change)

    return handle


def refused_late(change: Callable[[Session], object]) -> Callable[[Session], None]:
    def attempt(session: Session) -> None:
        with pytest.raises(ResponseStarted):
            change(session)

    return attempt


def append(value: object) -> Handler:
    return lambda session: session["list"].append(value)


# -- steps before a request


def after(seconds: float) -> Callable[[World], object]:
    return lambda world: world.clock.advance(seconds)


def break_store(*verbs: str) -> Callable[[World], None]:
    def act(world: World) -> None:
        world.outage.down, world.outage.only = True, frozenset(verbs)

    return act


def mend_store(world: World) -> None:
    world.outage.down = False


def forged(world: World) -> str:
    token = world.token()
    return f"session={token[:-1]}{'A' if token[-1] != 'A' else 'B'}"


def both(world: World) -> str:
    return f"session={world.token('a')}; session={world.token('b')}"


# -- steps that return

BEGIN = Step(
    write(a=1), trips=2, cookie="set", vary=True, cache=NO_STORE, stored=[(None, {"a": 1})]
)
SIGN_IN = Step(
    then(login("u1"), write(a=1)), trips=2, cookie="set", vary=True, stored=[("u1", {"a": 1})]
)
ANONYMOUS: dict[str, Any] = {"trips": 0, "body": "None", "vary": True, "cookie": "none"}
STILL = Step(read(), body="1", trips=1, cookie="none")
