"""Scenarios of fresh sign-ins: areas with a stricter policy, and `require_recent`."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from openclaw_middleware import Policy, Session
from openclaw_middleware.errors import ReauthenticationRequired

from .steps import (
    BEGIN,
    FETCH,
    NAVIGATION,
    NO_STORE,
    SIGN_IN,
    Scenario,
    Step,
    after,
    login,
    logout,
    read,
    swallow,
    then,
)
from .world import Handler, Reply, World

SITE: dict[str, Any] = {
    "policies": {"strict": Policy(300, 3600)},
    "policy_paths": {"/admin": "strict", "/admin/public": "default"},
}
KNOWN: dict[str, Any] = {**SITE, "login_url": "/login"}
REFUSED: dict[str, Any] = {"status": 401, "cookie": "none", "cache": NO_STORE, "vary": True}
SENT: dict[str, Any] = {**REFUSED, "status": 303}


def challenge(text: str) -> Any:
    return lambda world, response: response.one("www-authenticate") == text


def to(location: str) -> Any:
    return lambda world, response: response.one("location") == location


def who(session: Session) -> str:
    return str(session.user_id)


def recent(seconds: float) -> Handler:
    return lambda session: session.require_recent(seconds) or "recent"


def made_an_error(status: int) -> Handler:
    """As a handler of all errors does."""

    def handler(session: Session) -> Reply:
        with suppress(ReauthenticationRequired):
            session.get("a")
        return Reply(status)

    return handler


def untouched(world: World, response: Any) -> bool:
    return not world.trips.trips["touch"]


ADMIN: dict[str, Any] = {"path": "/admin/users"}
AWAY = after(400)
AREAS = (
    Scenario(
        "an area asks after a break, and nobody else does",
        (
            SIGN_IN,
            Step(read(), **ADMIN, body="1"),
            Step(
                read(),
                **ADMIN,
                before=AWAY,
                **REFUSED,
                trips=1,
                stored=[("u1", {"a": 1})],
                check=challenge('Cookie realm="session"'),
            ),
            # Asking again is no activity that would end the break.
            Step(read(), **ADMIN, **REFUSED, trips=1),
            Step(read(), body="1", cookie="none"),
        ),
        SITE,
    ),
    Scenario(
        "an area asks for a younger sign-in",
        (
            SIGN_IN,
            *(Step(read(), body="1", before=after(299), path="/admin") for _ in range(12)),
            Step(
                read(),
                path="/admin",
                before=after(20),
                **REFUSED,
                check=challenge('Cookie realm="session", max_age="3600"'),
            ),
            Step(read(), body="1", path="/administrator"),
        ),
        SITE,
    ),
    Scenario(
        "an area leaves alone what is excepted, and who is not signed in",
        (
            SIGN_IN,
            Step(read(), body="1", path="/admin/public/x", before=AWAY),
            Step(read(), body="None", path="/admin", browser="b", cookie="none"),
            Step(BEGIN.handler, browser="b", cookie="set"),
            Step(read(), body="1", path="/admin", browser="b", before=AWAY),
        ),
        SITE,
    ),
    Scenario(
        "a page of an area that leaves the session alone",
        (SIGN_IN, Step(**ADMIN, before=AWAY, trips=0, eager=1, vary=False, cookie="none")),
        SITE,
    ),
    Scenario(
        "signing in in an area",
        (
            SIGN_IN,
            Step(then(login(), read()), **ADMIN, before=AWAY, cookie="set", trips=2),
            Step(read(), **ADMIN, body="1", stored=[("u1", {"a": 1})]),
        ),
        SITE,
    ),
    Scenario(
        "signing out in an area",
        (SIGN_IN, Step(logout, **ADMIN, before=AWAY, cookie="deleted", trips=2, stored=[])),
        SITE,
    ),
    Scenario(
        "a sign-in of the failed request opens nothing",
        (
            SIGN_IN,
            Step(then(login(), status=500), **ADMIN, before=AWAY, status=500, cookie="none"),
            Step(read(), **ADMIN, **REFUSED),
        ),
        SITE,
    ),
    Scenario(
        "an application that answers the demand itself",
        (
            SIGN_IN,
            Step(
                swallow(read(), ReauthenticationRequired),
                **ADMIN,
                before=AWAY,
                body="not used for 300 seconds: please sign in again",
                stored=[("u1", {"a": 1})],
            ),
        ),
        SITE,
    ),
    Scenario(
        "a demand that a framework made an error of its own of",
        (
            SIGN_IN,
            Step(made_an_error(500), **ADMIN, before=AWAY, **REFUSED),
            Step(made_an_error(503), **ADMIN, status=503, cookie="none"),
        ),
        SITE,
    ),
    Scenario(
        "people are sent to the sign-in page, scripts are not",
        (
            SIGN_IN,
            Step(
                read(),
                **ADMIN,
                query="page=2",
                headers=NAVIGATION,
                before=AWAY,
                **SENT,
                check=to("/login?next=/admin/users%3Fpage%3D2"),
            ),
            Step(read(), **ADMIN, headers=FETCH, **REFUSED),
            Step(read(), **ADMIN, headers=(("accept", "text/html,*/*"),), **SENT),
            Step(read(), **ADMIN, headers=(("accept", "*/*"),), **REFUSED),
            Step(read(), **ADMIN, method="POST", headers=NAVIGATION, **SENT, check=to("/login")),
        ),
        KNOWN,
    ),
    Scenario(
        "the sign-in page shows who was sent there as signed out",
        (
            SIGN_IN,
            Step(who, path="/login", query="next=/", before=AWAY, body="u1"),
            Step(
                who,
                path="/login",
                query="next=/admin/users%3Fpage%3D2",
                before=AWAY,
                body="None",
                check=untouched,
            ),
            Step(read(), **ADMIN, **REFUSED),
            # Only there: a question mark opens no other page of the area.
            Step(read(), **ADMIN, query="next=/admin", **REFUSED),
            Step(read(), **ADMIN, query="next=/login&next=/", **REFUSED),
            Step(login(), path="/login", query="next=/admin", method="POST", cookie="set"),
            Step(who, path="/login", query="next=/admin", body="u1"),
            Step(read(), **ADMIN, body="1", stored=[("u1", {"a": 1})]),
        ),
        KNOWN,
    ),
    Scenario(
        "the sign-in page may lie in the area",
        (
            SIGN_IN,
            Step(read(), path="/admin/login", before=AWAY, body="1"),
            Step(who, path="/admin/login", before=AWAY, query="next=/admin", body="None"),
            Step(read(), **ADMIN, headers=NAVIGATION, **SENT),
            # Where frameworks send people on, for a slash: else they would go round in circles.
            Step(read(), path="/admin/login/", headers=NAVIGATION, body="1"),
        ),
        {**SITE, "login_url": "/admin/login"},
    ),
)

RECENT = (
    Scenario(
        "a recent sign-in",
        (
            SIGN_IN,
            Step(recent(300), before=after(300), body="recent"),
            Step(
                recent(300),
                before=after(1),
                **REFUSED,
                check=challenge('Cookie realm="session", max_age="300"'),
            ),
            Step(then(login(), recent(300)), cookie="set"),
            Step(recent(300), body="recent"),
        ),
    ),
    Scenario("a recent sign-in of nobody", (Step(recent(300), **REFUSED, trips=0),)),
    Scenario(
        "a recent sign-in, and where to get it",
        (
            Step(recent(300), path="/b", headers=NAVIGATION, **SENT, check=to("/login?next=/b")),
            Step(recent(300), path="/login", headers=NAVIGATION, **REFUSED),
        ),
        KNOWN,
    ),
)
