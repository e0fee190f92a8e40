"""Scenarios of ordinary visits: what they cost, whose cookie counts, how data change."""

from __future__ import annotations

from openclaw_middleware import CodecError

from .steps import (
    ANONYMOUS,
    BEGIN,
    SIGN_IN,
    STILL,
    Scenario,
    Step,
    after,
    append,
    both,
    forged,
    login,
    logout,
    read,
    swallow,
    then,
    write,
)

PASSIVE = (("x-session-passive", "1"),)

BUDGET = (
    Scenario(
        "no cookie, untouched", (Step(trips=0, cookie="none", vary=False, cache="", stored=[]),)
    ),
    Scenario("no cookie, read", (Step(read(), **ANONYMOUS, stored=[]),)),
    Scenario("write begins a session", (BEGIN, STILL)),
    Scenario("untouched", (BEGIN, Step(trips=0, eager=1, cookie="none", vary=False, cache=""))),
    Scenario("read", (BEGIN, Step(read(), body="1", trips=1, cookie="none", vary=True, cache=""))),
    Scenario(
        "read and write",
        (BEGIN, Step(write(a=2), trips=2, cookie="none", vary=True, stored=[(None, {"a": 2})])),
    ),
    Scenario("login", (SIGN_IN, Step(lambda s: s.user_id, body="u1", trips=1, cookie="none"))),
    Scenario(
        "login with a session",
        (BEGIN, Step(login(), trips=2, cookie="set", stored=[("u1", {"a": 1})])),
    ),
    Scenario("logout", (SIGN_IN, Step(logout, trips=2, cookie="deleted", vary=True, stored=[]))),
    Scenario(
        "log out everywhere",
        (
            SIGN_IN,
            Step(login(), browser="b", stored=[("u1", {"a": 1}), ("u1", {})]),
            Step(lambda s: s.logout_everywhere(), trips=2, cookie="deleted", stored=[]),
            Step(lambda s: s.user_id, browser="b", body="None", trips=1),
        ),
    ),
    Scenario(
        "touch after a while",
        (
            BEGIN,
            Step(read(), before=after(170), trips=1),
            Step(read(), before=after(20), trips=2, cookie="none"),
            Step(read(), before=after(100), trips=1),
            Step(read(), before=after(1600), trips=2, body="1"),
        ),
    ),
    Scenario(
        "passive requests touch nothing",
        (
            BEGIN,
            Step(read(), before=after(900), path="/poll/x", trips=1, body="1"),
            Step(read(), before=after(901), path="/poll/x", trips=1, body="None"),
        ),
        {"passive_paths": ("/poll",)},
    ),
    Scenario(
        "a request that says it is passive",
        (
            BEGIN,
            Step(read(), before=after(900), headers=PASSIVE, trips=1, body="1"),
            Step(read(), before=after(901), headers=PASSIVE, trips=1, body="None"),
        ),
    ),
    Scenario(
        "skipped path",
        (BEGIN, Step(path="/static/x", trips=0, eager=0, vary=False, cookie="none")),
        {"skip_paths": ("/static",)},
    ),
)

COOKIES = (
    Scenario("forged cookie", (BEGIN, Step(read(), sends=forged, **ANONYMOUS))),
    Scenario(
        "truncated cookie",
        (BEGIN, Step(read(), sends=lambda w: f"session={w.token()[:40]}", **ANONYMOUS)),
    ),
    Scenario(
        "oversized cookie", (Step(read(), sends=lambda w: "session=" + "x" * 5000, **ANONYMOUS),)
    ),
    Scenario(
        "binary cookie",
        (Step(read(), sends=lambda w: "session=\xff\x80\xfe; \xe4=\xf6", **ANONYMOUS),),
    ),
    Scenario(
        "mis-encoded cookie",
        (Step(read(), sends=lambda w: 'session="\xc3\xa4%zz=;;=', **ANONYMOUS),),
    ),
    Scenario(
        "forged cookie, write: an id of our own",
        (
            Step(
                write(a=1),
                sends=lambda w: "session=.aaaaaaaaaaaaaaaaaaaaaa.0." + "a" * 43 + ".x",
                trips=2,
                cookie="set",
            ),
            STILL,
        ),
    ),
    Scenario(
        "ours among others",
        (BEGIN, Step(read(), sends=lambda w: f"x=1; session={w.token()}; y=2", body="1", trips=1)),
    ),
    Scenario(
        "a forged one beside ours",
        (
            BEGIN,
            Step(read(), sends=lambda w: f"session=bad; session={w.token()}", body="1", trips=1),
        ),
    ),
    Scenario(
        "two valid cookies",
        (
            BEGIN,
            Step(write(a=2), browser="b"),
            Step(read(), sends=both, trips=0, body="None", cookie="deleted", vary=True),
        ),
    ),
    Scenario(
        "previous cookies",
        (
            BEGIN,
            Step(
                read(),
                sends=lambda w: f"old_session={w.token()}",
                body="1",
                vary=True,
                check=lambda w, r: (
                    [line.partition(";")[0] for line in r.all("set-cookie")]
                    == ["old_session=", f"session={w.token()}"]
                ),
            ),
            Step(trips=0, eager=1, sends=lambda w: f"old_session={w.token()}", cookie="none"),
        ),
        {"previous_cookies": ("old_session",)},
    ),
)

DATA = (
    Scenario(
        "nested change",
        (
            Step(write(list=[1], map={"x": {"y": 1}}), trips=2),
            Step(
                then(append(2), lambda s: s["map"]["x"].update(y=2)),
                trips=2,
                cookie="none",
                stored=[(None, {"list": [1, 2], "map": {"x": {"y": 2}}})],
            ),
        ),
    ),
    Scenario("equal value written", (BEGIN, Step(write(a=1), trips=1, cookie="none"))),
    Scenario(
        "equal nested value written",
        (
            Step(write(a={"x": [1]})),
            Step(write(a={"x": [1]}), trips=1, cookie="none"),
        ),
    ),
    Scenario(
        "exact types",
        (
            Step(write(a=(1, {2}, b"\xff"))),
            Step(
                lambda s: s["a"] == (1, {2}, b"\xff") and type(s["a"]).__name__,
                body="tuple",
                trips=1,
            ),
        ),
    ),
    Scenario(
        "delete a key",
        (
            Step(write(a=1, b=2)),
            Step(lambda s: s.pop("b"), trips=2, stored=[(None, {"a": 1})]),
        ),
    ),
    Scenario(
        "the last key goes",
        (BEGIN, Step(lambda s: s.pop("a"), trips=2, cookie="none", stored=[(None, {})])),
    ),
    Scenario(
        "emptied before it was stored",
        (
            Step(
                then(write(a=1), lambda s: s.pop("a")), trips=0, cookie="none", vary=True, stored=[]
            ),
        ),
    ),
    Scenario("clear", (BEGIN, Step(lambda s: s.clear(), trips=2, cookie="deleted", stored=[]))),
    Scenario(
        "clear and write",
        (
            SIGN_IN,
            Step(
                then(lambda s: s.clear(), write(b=2)),
                trips=2,
                cookie="set",
                stored=[(None, {"b": 2})],
            ),
        ),
    ),
    Scenario(
        "apply",
        (
            BEGIN,
            Step(
                lambda s: s.apply("a", lambda n: n + 1),
                trips=2,
                body="2",
                stored=[(None, {"a": 2})],
            ),
        ),
    ),
    Scenario(
        "unserialisable at the assignment",
        (
            BEGIN,
            Step(
                swallow(lambda s: s.update(bad=object()), CodecError),
                trips=1,
                stored=[(None, {"a": 1})],
                check=lambda w, r: b"bad" in r.body and b"object" in r.body,
            ),
        ),
    ),
    Scenario(
        "unserialisable in place",
        (
            Step(write(list=[1])),
            Step(
                then(write(b=1), append(object())),
                status=500,
                raises=CodecError,
                stored=[(None, {"list": [1]})],
                check=lambda w, r: (
                    r.error is None or ("list" in str(r.error) and "object" in str(r.error))
                ),
            ),
            Step(read("list"), body="[1]", trips=1),
        ),
    ),
    Scenario(
        "unserialisable in place, with the others logged out",
        (
            Step(then(login(), write(list=[1]))),
            Step(then(login(), write(list=[2])), browser="b"),
            Step(
                then(append(object()), lambda session: session.logout_others()),
                status=500,
                raises=CodecError,
                stored=[("u1", {"list": [1]})],
                check=lambda w, r: w.dropped == [("list",)],
            ),
        ),
    ),
)
