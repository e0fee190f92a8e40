"""Scenarios of identities: signing in and out, new ids, and the ends of sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .steps import (
    BEGIN,
    FETCH,
    IDENTITY,
    NAVIGATION,
    NO_STORE,
    SIGN_IN,
    Scenario,
    Step,
    after,
    login,
    logout,
    read,
    replying,
    then,
    write,
)
from .world import START, World

IDENTITIES = (
    Scenario(
        "login over login",
        (
            SIGN_IN,
            Step(login("u2"), trips=2, cookie="set", stored=[("u2", {})]),
        ),
    ),
    Scenario(
        "login again",
        (SIGN_IN, Step(login("u1"), trips=2, cookie="set", stored=[("u1", {"a": 1})])),
    ),
    Scenario(
        "remembered login",
        (
            Step(
                login(remember=True),
                trips=2,
                check=lambda w, r: "; Max-Age=7776000;" in (r.one("set-cookie") or ""),
            ),
        ),
    ),
    Scenario(
        "the old token is dead after login",
        (
            BEGIN,
            Step(login(), sends=lambda w: w.browser("a").header, browser="b"),
            Step(lambda s: s.user_id, body="None", trips=1, cookie="none"),
        ),
    ),
    Scenario(
        "logout with leftovers",
        (
            SIGN_IN,
            Step(
                then(logout, write(flash="bye")),
                trips=2,
                cookie="set",
                stored=[(None, {"flash": "bye"})],
            ),
            Step(lambda s: s.pop("flash"), body="bye", trips=2, cookie="none", stored=[(None, {})]),
        ),
    ),
    Scenario(
        "regenerate",
        (
            SIGN_IN,
            Step(lambda s: s.regenerate(), trips=2, cookie="set", stored=[("u1", {"a": 1})]),
        ),
    ),
    Scenario(
        "identity key signs in and out",
        (
            BEGIN,
            Step(
                lambda s: s.update({IDENTITY: "u1"}),
                trips=2,
                cookie="set",
                stored=[("u1", {"a": 1})],
            ),
            Step(read(IDENTITY), body="u1", trips=1),
            Step(lambda s: s.update({IDENTITY: "u1"}), trips=1, cookie="none"),
            Step(lambda s: s.pop(IDENTITY), trips=2, cookie="set", stored=[(None, {"a": 1})]),
        ),
        {"identity_key": IDENTITY},
    ),
    Scenario(
        "log out others",
        (
            SIGN_IN,
            Step(login(), browser="b"),
            Step(lambda s: s.logout_others(), trips=2, cookie="none", stored=[("u1", {"a": 1})]),
        ),
    ),
    Scenario(
        "login refused by the limit",
        (
            SIGN_IN,
            Step(write(b=2), browser="b"),
            Step(
                login(),
                browser="b",
                status=409,
                cookie="none",
                cache=NO_STORE,
                trips=2,
                stored=[("u1", {"a": 1}), (None, {"b": 2})],
            ),
            Step(read("b"), browser="b", body="2"),
        ),
        {"max_sessions_per_user": 1, "on_limit": "reject"},
    ),
    Scenario(
        "login superseded",
        (
            Step(
                then(write(a=1), login(verified_at=START - 10)),
                before=lambda w: w.revoke_user("u1"),
                status=409,
                cookie="none",
                stored=[],
            ),
        ),
    ),
    Scenario(
        "the oldest session makes room",
        (
            SIGN_IN,
            Step(login(), browser="b", stored=[("u1", {})]),
            Step(read(), body="None", trips=1),
        ),
        {"max_sessions_per_user": 1},
    ),
)

ENDINGS = (
    Scenario(
        "idle",
        (
            BEGIN,
            Step(read(), before=after(1800), body="None", trips=1, cookie="none", stored=[]),
        ),
    ),
    Scenario("not quite idle", (BEGIN, Step(read(), before=after(1799), body="1", trips=2))),
    Scenario(
        "absolute",
        (
            BEGIN,
            *(Step(read(), before=after(1790), body="1", trips=2) for _ in range(16)),
            Step(read(), before=after(160), body="None", trips=1, stored=[]),
        ),
    ),
    Scenario(
        "revoked",
        (
            SIGN_IN,
            Step(
                lambda s: (s.user_id, s.previous_end),
                before=World.revoke,
                trips=1,
                cookie="none",
                check=lambda w, r: b"revoked" in r.body or b"REVOKED" in r.body,
            ),
        ),
    ),
    Scenario(
        "a dead cookie on a navigation",
        (
            BEGIN,
            Step(
                read(),
                before=World.revoke,
                headers=NAVIGATION,
                trips=1,
                cookie="deleted",
                cache=NO_STORE,
            ),
        ),
    ),
    Scenario(
        "a dead cookie on a fetch",
        (
            BEGIN,
            Step(read(), before=World.revoke, headers=FETCH, trips=1, cookie="none", cache=""),
        ),
    ),
    Scenario(
        "a dead cookie, nobody looks",
        (
            BEGIN,
            Step(
                before=World.revoke, headers=NAVIGATION, trips=0, eager=1, cookie="none", vary=False
            ),
        ),
    ),
    Scenario(
        "a dead cookie, written",
        (
            BEGIN,
            Step(write(b=2), before=World.revoke, trips=2, cookie="set", stored=[(None, {"b": 2})]),
        ),
    ),
)


def forgets(what: str | None) -> Callable[[World, Any], bool]:
    return lambda world, response: response.one("clear-site-data") == what


OWN = (("Clear-Site-Data", '"cookies"'),)
FORGETTING = (
    Scenario(
        "Clear-Site-Data at a logout",
        (
            Step(login(), check=forgets(None)),
            Step(read(), check=forgets(None)),
            Step(then(logout, write(bye=1)), cookie="set", check=forgets('"cache", "storage"')),
            Step(logout, cookie="deleted", check=forgets('"cache", "storage"')),
            Step(logout, cookie="none", check=forgets(None)),
            SIGN_IN,
            Step(replying(logout, headers=OWN), check=forgets('"cookies"')),
            SIGN_IN,
            Step(logout, before=World.revoke, cookie="none", check=forgets(None)),
            SIGN_IN,
            Step(login("u2"), cookie="set", check=forgets(None)),
            Step(
                lambda session: session.logout_everywhere(),
                cookie="deleted",
                check=forgets('"cache", "storage"'),
            ),
        ),
        {"clear_site_data": ["cache", "storage"]},
    ),
    Scenario(
        "no Clear-Site-Data unless asked for",
        (SIGN_IN, Step(logout, cookie="deleted", check=forgets(None))),
    ),
)
