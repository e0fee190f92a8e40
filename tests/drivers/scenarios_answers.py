"""Scenarios of answers: failed requests, caches, streams, and a store that is away."""

from __future__ import annotations

from typing import Any

from openclaw_middleware import StoreError

from .steps import (
    BEGIN,
    NO_STORE,
    SIGN_IN,
    STILL,
    Scenario,
    Step,
    break_store,
    crash,
    late,
    login,
    logout,
    mend_store,
    read,
    refused_late,
    replying,
    swallow,
    then,
    write,
)
from .world import World

FAILURES = (
    Scenario(
        "500 drops data",
        (
            BEGIN,
            Step(
                then(write(a=2), status=500),
                status=500,
                trips=1,
                cookie="none",
                stored=[(None, {"a": 1})],
                check=lambda w, r: w.dropped == [("a",)],
            ),
        ),
    ),
    Scenario(
        "500 has nothing to drop",
        (
            BEGIN,
            Step(then(read(), status=500), status=500, trips=1, check=lambda w, r: w.dropped == []),
        ),
    ),
    Scenario(
        "500 drops what was to be kept alive",
        (
            BEGIN,
            Step(
                then(lambda session: session.keep_alive(), status=500),
                status=500,
                trips=1,
                check=lambda w, r: w.dropped == [()],
            ),
        ),
    ),
    Scenario(
        "500 drops what cannot be stored",
        (
            Step(write(a=[]), cookie="set"),
            Step(
                then(lambda session: session["a"].append(object()), status=500),
                status=500,
                trips=1,
                stored=[(None, {"a": []})],
                check=lambda w, r: w.dropped == [("a",)],
            ),
        ),
    ),
    Scenario(
        "500 drops a login",
        (
            BEGIN,
            Step(
                then(login(), status=503),
                status=503,
                trips=1,
                cookie="none",
                stored=[(None, {"a": 1})],
            ),
        ),
    ),
    Scenario(
        "500 keeps a logout",
        (
            SIGN_IN,
            Step(
                then(logout, write(b=1), status=500),
                status=500,
                trips=2,
                cookie="deleted",
                stored=[],
            ),
        ),
    ),
    Scenario(
        "404 keeps data",
        (
            BEGIN,
            Step(then(write(a=2), status=404), status=404, trips=2, stored=[(None, {"a": 2})]),
        ),
    ),
    Scenario(
        "exception drops data",
        (
            BEGIN,
            Step(
                then(write(a=2), crash),
                status=500,
                raises=ZeroDivisionError,
                trips=1,
                stored=[(None, {"a": 1})],
                check=lambda w, r: w.dropped == [("a",)],
            ),
            STILL,
        ),
    ),
    Scenario(
        "exception keeps a logout",
        (
            SIGN_IN,
            Step(then(logout, crash), status=500, raises=ZeroDivisionError, trips=2, stored=[]),
        ),
    ),
)

PUBLIC = (("Cache-Control", "public, max-age=60"),)
FOR_SOME_CACHES = (
    ("X-Accel-Expires", "60"),
    ("Cache-Control", "private"),
    ("CDN-Cache-Control", "max-age=60"),
)
CACHES = (
    Scenario(
        "shared caching and a cookie",
        (Step(replying(write(a=1), headers=PUBLIC), cookie="set", cache=NO_STORE, vary=True),),
    ),
    Scenario(
        "shared caching and a read",
        (
            BEGIN,
            Step(
                replying(read(), headers=PUBLIC),
                cookie="none",
                cache="public, max-age=60",
                vary=True,
            ),
        ),
    ),
    Scenario(
        "caching by nginx and a CDN, and a cookie",
        (
            Step(
                replying(write(a=1), headers=FOR_SOME_CACHES),
                cookie="set",
                cache="private",
                check=lambda w, r: (
                    r.one("x-accel-expires") == "0" and r.one("cdn-cache-control") == NO_STORE
                ),
            ),
        ),
    ),
    Scenario(
        "private stays private",
        (
            Step(
                replying(write(a=1), headers=(("Cache-Control", "private, max-age=9"),)),
                cookie="set",
                cache="private, max-age=9",
            ),
        ),
    ),
    Scenario(
        "existing Vary",
        (
            Step(
                replying(read(), headers=(("Vary", "Accept-Encoding"),)),
                vary=True,
                check=lambda w, r: "Accept-Encoding" in r.one("vary"),
            ),
        ),
    ),
    Scenario(
        "Vary is there already",
        (
            Step(
                replying(read(), headers=(("Vary", "Accept, COOKIE"),)),
                check=lambda w, r: r.one("vary") == "Accept, COOKIE",
            ),
        ),
    ),
)

STREAMS = (
    Scenario(
        "late write",
        (
            BEGIN,
            Step(
                late(write(b=2), first=read()),
                body="ok late",
                trips=2,
                cookie="none",
                stored=[(None, {"a": 1, "b": 2})],
            ),
        ),
    ),
    Scenario(
        "late write after an early one",
        (
            BEGIN,
            Step(
                late(write(b=2), first=write(a=2)),
                body="ok late",
                trips=3,
                stored=[(None, {"a": 2, "b": 2})],
            ),
        ),
    ),
    Scenario(
        "late write to a new session",
        (
            Step(
                late(write(b=2), first=write(a=1)),
                body="ok late",
                trips=3,
                cookie="set",
                stored=[(None, {"a": 1, "b": 2})],
            ),
        ),
    ),
    Scenario(
        "late logout",
        (
            SIGN_IN,
            Step(late(logout, first=read()), body="ok late", trips=2, cookie="none", stored=[]),
        ),
    ),
    Scenario(
        "late change that needs a cookie",
        (
            Step(
                late(refused_late(write(a=1)), first=read()),
                body="ok late",
                trips=0,
                cookie="none",
                stored=[],
            ),
        ),
    ),
    Scenario(
        "late login",
        (
            BEGIN,
            Step(
                late(refused_late(login()), first=read()),
                body="ok late",
                trips=1,
                stored=[(None, {"a": 1})],
            ),
        ),
    ),
    Scenario(
        "late change after a 500",
        (
            BEGIN,
            Step(
                replying(read(), status=500, late=write(b=2)), status=500, stored=[(None, {"a": 1})]
            ),
        ),
    ),
)


def former(world: World) -> str:
    return f"former={world.token()}"


AWAY: dict[str, Any] = {"status": 503, "cookie": "none", "cache": NO_STORE, "vary": True}


def _retry_after(world: World, response: Any) -> bool:
    return bool(response.one("retry-after"))


OUTAGES = (
    Scenario(
        "outage on a read",
        (
            BEGIN,
            Step(read(), before=break_store(), **AWAY, trips=1, check=_retry_after),
            Step(read(), before=mend_store, body="1", trips=1),
        ),
    ),
    Scenario(
        "outage on a public page",
        (
            BEGIN,
            Step(
                trips=0,
                eager=1,
                before=break_store(),
                cookie="none",
                vary=False,
                check=lambda w, r: w.browser().cookies,
            ),
        ),
    ),
    Scenario(
        "outage and no cookie",
        (Step(read(), before=break_store(), trips=0, body="None", cookie="none"),),
    ),
    Scenario(
        "outage on a first write", (Step(write(a=1), before=break_store(), **AWAY, stored=[]),)
    ),
    Scenario(
        "outage at the commit",
        (
            BEGIN,
            Step(write(a=2), before=break_store("save"), **AWAY, check=_retry_after),
            Step(read(), before=mend_store, body="1", trips=1),
        ),
    ),
    Scenario(
        "outage that was swallowed",
        (
            BEGIN,
            Step(swallow(read(), StoreError), before=break_store(), **AWAY, check=_retry_after),
        ),
    ),
    Scenario(
        "outage on a login",
        (
            BEGIN,
            Step(login(), before=break_store("succeed"), **AWAY, stored=[(None, {"a": 1})]),
        ),
    ),
    Scenario(
        "outage on a touch that can wait",
        (
            BEGIN,
            Step(
                read(),
                before=lambda w: (w.clock.advance(200), break_store("touch")(w)),
                body="1",
                trips=2,
                cookie="none",
            ),
        ),
    ),
    Scenario(
        "outage on a logout, nothing loaded",
        (
            SIGN_IN,
            Step(logout, before=break_store(), status=503, cookie="deleted", cache=NO_STORE),
        ),
    ),
    Scenario(
        "outage on a logout, loaded",
        (
            SIGN_IN,
            Step(
                logout,
                before=break_store("end"),
                status=503,
                cookie="deleted",
                cache=NO_STORE,
                stored=[("u1", {"a": 1})],
            ),
        ),
    ),
    Scenario(
        "outage on a logout everywhere",
        (
            SIGN_IN,
            Step(
                lambda s: s.logout_everywhere(),
                before=break_store("end_user"),
                status=503,
                cookie="deleted",
            ),
        ),
    ),
    Scenario(
        "anonymous while the store is away",
        (
            BEGIN,
            Step(read(), before=break_store(), body="None", cookie="none"),
            Step(swallow(write(b=1), StoreError), cookie="none"),
            Step(read(), before=mend_store, body="1"),
        ),
        {"on_store_error": "anonymous"},
    ),
    Scenario(
        "anonymous while the store is away, under the cookie's former name",
        (
            BEGIN,
            Step(read(), before=break_store(), sends=former, body="None", cookie="none"),
            Step(read(), before=mend_store, sends=former, body="1", cookie="set"),
        ),
        {"on_store_error": "anonymous", "previous_cookies": ("former",)},
    ),
)
