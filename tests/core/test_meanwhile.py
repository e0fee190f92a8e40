"""One task of a request saves, another goes on with the session while the store is at work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from random import Random
from typing import Any

import pytest

from openclaw_middleware import EndReason, SessionSettings, StoreUnavailable
from openclaw_middleware.asgi import SessionMiddleware
from openclaw_middleware.core import events as ev
from openclaw_middleware.core.steps import Steps
from openclaw_middleware.driver import Driver
from openclaw_middleware.stores.memory import AsyncMemoryStore
from openclaw_middleware.testing import Counting, Fault, Gate, wrap

from .lab import Lab
from .test_changes import KEYS, KINDS, START, Twins, visitor


class Meanwhile(Fault):
    """Runs something in the middle of the next call of a verb, before or after it is performed.

    Args:
        fate: "answered"; or "lost" or "refused": the call fails, performed or not.
    """

    def __init__(self, fate: str = "answered") -> None:
        self.fate = fate
        self.verb = ""
        self.early: Callable[[], Any] | None = None
        self.late: Callable[[], Any] | None = None

    def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
        if operation != self.verb:
            return (yield call())
        self.verb = ""
        if self.early is not None:
            self.early()
        if self.fate == "refused":
            raise StoreUnavailable("refused", store="test", operation=operation)
        answer = yield call()
        if self.late is not None:
            self.late()
        if self.fate == "lost":
            raise StoreUnavailable("lost", store="test", operation=operation)
        return answer


def lab_with(meanwhile: Meanwhile, **settings: Any) -> Lab:
    lab = Lab(**settings)
    lab.driver = Driver(wrap(lab.store, meanwhile))
    return lab


def save(session: Any, fate: str) -> None:
    """As an application does that saves again until it hears that it was saved."""
    if fate == "answered":
        session.save()
        return
    with pytest.raises(StoreUnavailable):
        session.save()
    session.save()


FATES = ["answered", "lost", "refused"]


@pytest.mark.parametrize("conflict", [False, True])
@pytest.mark.parametrize("fate", FATES)
def test_what_is_changed_while_a_save_is_on_its_way_is_stored(fate: str, conflict: bool) -> None:
    """New keys, changes in place, increments and deletions, once each."""
    meanwhile = Meanwhile(fate)
    lab = lab_with(meanwhile)
    browser = visitor(lab, log=[0], n=0, gone=1, prefs={"x": 1})
    request = browser.request()
    session = request.session
    session["first"] = 1
    session["log"].append(1)
    session.apply("n", lambda n: n + 1)

    def go_on() -> None:
        session["second"] = 2
        session["log"].append(2)
        session["prefs"]["y"] = 2
        session.apply("n", lambda n: n + 1)
        del session["gone"]

    def others() -> None:
        other = browser.twin().request()
        other.session["log"].append("other")
        other.session.apply("n", lambda n: n + 10)
        other.finish()

    if conflict:
        others()
    meanwhile.verb, meanwhile.early = "save", go_on
    save(session, fate)
    request.finish()

    others = ["other"] if conflict else []
    assert browser.data() == {
        "log": [0, *others, 1, 2],
        "n": 12 if conflict else 2,
        "prefs": {"x": 1, "y": 2},
        "first": 1,
        "second": 2,
    }
    assert not lab.told(ev.Collided)


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("verb", ["create", "save", "succeed"])
def test_a_logout_while_a_write_is_on_its_way_is_final(verb: str, fate: str) -> None:
    """Whatever the write was, nobody is signed in afterwards, and a farewell stays one."""
    meanwhile = Meanwhile(fate)
    lab = lab_with(meanwhile)
    browser = lab.browser() if verb == "create" else visitor(lab, secret=1)
    tokens = [browser.twin()]
    request = browser.request()
    session = request.session
    if verb == "save":
        session["x"] = 1
    else:
        session.login("ada")

    def leave() -> None:
        session.logout()
        session["note"] = "bye"

    meanwhile.verb, meanwhile.early = verb, leave
    save(session, fate)
    assert session.user_id is None
    assert session.to_dict() == {"note": "bye"}
    request.finish()

    assert all(token.user() is None for token in tokens)
    assert browser.user() is None
    assert browser.data() == {"note": "bye"}
    assert [r.user_id for r in lab.store.state.records.values()] == [None]


@pytest.mark.parametrize("fate", FATES)
def test_a_sign_in_while_a_save_is_on_its_way_takes_place(fate: str) -> None:
    """As somebody else, who gets nothing of what was there."""
    meanwhile = Meanwhile(fate)
    lab = lab_with(meanwhile)
    browser = visitor(lab, secret=1)
    old = browser.twin()
    request = browser.request()
    request.session["x"] = 1
    meanwhile.verb, meanwhile.early = "save", lambda: request.session.login("bob")
    save(request.session, fate)
    request.finish()

    assert (browser.user(), browser.data()) == ("bob", {})
    assert old.user() is None


@pytest.mark.parametrize("fate", ["lost", "refused"])
@pytest.mark.parametrize("conflict", [False, True])
def test_what_is_changed_while_a_save_is_sent_again_is_stored(fate: str, conflict: bool) -> None:
    """Its first answer was lost; the application goes on with the session, not with what is
    sent."""
    meanwhile = Meanwhile(fate)
    lab = lab_with(meanwhile)
    browser = visitor(lab, log=[0], n=0, gone=1)
    request = browser.request()
    session = request.session
    session["log"].append(1)
    session.apply("n", lambda n: n + 1)
    meanwhile.verb = "save"
    with pytest.raises(StoreUnavailable):
        session.save()

    def go_on() -> None:
        session["second"] = 2
        session["log"].append(2)
        session.apply("n", lambda n: n + 1)
        del session["gone"]

    if conflict:
        browser.visit(other=1)
    meanwhile.verb, meanwhile.fate, meanwhile.early = "save", "answered", go_on
    session.save()
    request.finish()

    other = {"other": 1} if conflict else {}
    assert browser.data() == {"log": [0, 1, 2], "n": 2, "second": 2, **other}


@pytest.mark.parametrize("again", ["answered", "lost", "refused"])
@pytest.mark.parametrize("fate", ["lost", "refused"])
@pytest.mark.parametrize("verb", ["create", "save", "succeed"])
def test_a_logout_while_a_write_is_sent_again_is_final(verb: str, fate: str, again: str) -> None:
    """Neither what it made nor what it was made of is alive afterwards."""
    meanwhile = Meanwhile(fate)
    lab = lab_with(meanwhile)
    browser = lab.browser() if verb == "create" else visitor(lab, secret=1)
    old = browser.twin()
    request = browser.request()
    if verb == "save":
        request.session["x"] = 1
    else:
        request.session.login("ada")
    meanwhile.verb = verb
    with pytest.raises(StoreUnavailable):
        request.session.save()
    meanwhile.verb, meanwhile.fate = verb, again
    meanwhile.early = request.session.logout
    with nullcontext() if again == "answered" else pytest.raises(StoreUnavailable):
        request.session.save()
    assert request.session.user_id is None
    request.finish()

    assert (old.user(), browser.user()) == (None, None)
    assert not lab.store.state.records


@pytest.mark.parametrize("next_user", [None, "ada", "bob"])
def test_what_is_done_while_a_logout_is_on_its_way_is_not_part_of_it(next_user: Any) -> None:
    """A farewell is stored, a sign-in takes place."""
    meanwhile = Meanwhile()
    lab = lab_with(meanwhile)
    browser = visitor(lab, secret=1)
    old = browser.twin()
    request = browser.request()
    request.session.logout()

    def go_on() -> None:
        if next_user is not None:
            request.session.login(next_user)
        request.session["note"] = "hi"

    meanwhile.verb, meanwhile.early = "end", go_on
    request.session.save()
    request.finish()

    assert old.user() is None
    assert (browser.user(), browser.data()) == (next_user, {"note": "hi"})


@pytest.mark.parametrize("verb", ["succeed", "load"])
@pytest.mark.parametrize("how", ["login", "regenerate"])
def test_a_logout_while_a_new_identity_is_overtaken_is_final(how: str, verb: str) -> None:
    """Another request has given the session another id first."""
    meanwhile = Meanwhile()
    lab = lab_with(meanwhile)
    browser = lab.browser()
    browser.visit(cart=1)
    if how == "regenerate":
        browser.sign_in("ada")
    request, other = browser.twin().request(), browser.twin().request()
    getattr(request.session, how)(*["ada"] * (how == "login"))
    other.session.regenerate()
    other.finish()

    meanwhile.verb, meanwhile.early = verb, request.session.logout
    request.session.save()
    assert meanwhile.verb == ""
    assert request.session.user_id is None
    request.finish()

    assert (request.browser.user(), browser.user()) == (None, None)
    assert [r for r in lab.store.state.records.values() if r.user_id] == []


def test_a_sign_in_while_a_new_session_asks_for_the_time_takes_place() -> None:
    """As it does while the session is stored."""
    meanwhile = Meanwhile()
    lab = lab_with(meanwhile)
    browser = lab.browser()
    request = browser.request()
    request.session["a"] = 1
    meanwhile.verb, meanwhile.early = "now", lambda: request.session.login("ada")
    request.session.save()
    request.finish()

    assert (browser.user(), browser.data()) == ("ada", {"a": 1})


@pytest.mark.parametrize("user", ["ada", "bob"])
def test_a_sign_in_while_a_secret_is_rotated_takes_place(user: str) -> None:
    """The changes to be saved after the rotation go with it, where they may."""
    meanwhile = Meanwhile()
    lab = lab_with(meanwhile, rotation_interval=60)
    browser = visitor(lab, a=1)
    old = browser.twin()
    lab.clock.advance(61)
    request = browser.request()
    request.session["b"] = 2
    meanwhile.verb, meanwhile.early = "rotate", lambda: request.session.login(user)
    request.session.save()
    assert meanwhile.verb == ""
    request.finish()

    assert old.user() is None
    assert browser.user() == user
    assert browser.data() == ({"a": 1, "b": 2} if user == "ada" else {})


def test_a_rotated_token_is_withheld_where_the_session_was_ended_after_the_save() -> None:
    """It would come after what the logout, or the next sign-in, has left in the browser."""
    meanwhile = Meanwhile()
    lab = lab_with(meanwhile, rotation_interval=60)
    browser = visitor(lab)
    lab.clock.advance(61)
    request = browser.request()
    request.session.use_policy("remember")
    own = request.session.id
    meanwhile.verb = "load"
    meanwhile.early = lambda: lab.store.end(own, EndReason.SIGNED_OUT)
    request.finish()

    assert meanwhile.verb == ""
    assert request.set_cookies == []


def test_other_wishes_while_a_save_is_on_its_way_are_carried_out() -> None:
    """A new id, other limits."""
    meanwhile = Meanwhile()
    lab = lab_with(meanwhile)
    browser = visitor(lab, a=1)
    old = browser.twin()
    request = browser.request()
    request.session["x"] = 1

    def wish() -> None:
        request.session.use_policy("remember")
        request.session.regenerate()

    meanwhile.verb, meanwhile.early = "save", wish
    request.session.save()
    request.finish()

    assert old.user() is None
    assert browser.data() == {"a": 1, "x": 1}
    assert browser.request().session.info.policy == "remember"


@pytest.mark.parametrize("look", ["take", "reload"])
def test_a_fresh_look_gives_nothing_back_to_who_left_meanwhile(look: str) -> None:
    """The data that come with the answer are not those of the session after the logout."""
    meanwhile = Meanwhile()
    lab = lab_with(meanwhile)
    browser = visitor(lab, secret=1, code="c")
    request = browser.request()
    meanwhile.verb = "save" if look == "take" else "load"
    meanwhile.early = request.session.logout
    if look == "take":
        request.session.take("code")
    else:
        request.session.reload()
    assert request.session.to_dict() == {}
    request.session["note"] = "bye"
    request.finish()

    assert (browser.user(), browser.data()) == (None, {"note": "bye"})


def test_changes_that_follow_to_a_successor_leave_later_ones_to_be_saved() -> None:
    """The session got a new id meanwhile."""
    meanwhile = Meanwhile()
    lab = lab_with(meanwhile)
    browser = visitor(lab, log=[0])
    request = browser.twin().request()
    request.session["log"].append(1)
    renewing = browser.request()
    renewing.session.regenerate()
    renewing.finish()

    def go_on() -> None:
        request.session["log"].append(2)
        request.session["b"] = 1

    def found() -> None:
        meanwhile.verb, meanwhile.early, meanwhile.late = "save", go_on, None

    meanwhile.verb, meanwhile.late = "load", found
    request.session.save()
    request.session.save()

    assert browser.data() == {"log": [0, 1, 2], "b": 1}


@pytest.mark.parametrize("overtaken", [True, False])
def test_nothing_done_while_a_save_is_on_its_way_is_lost_or_done_twice(overtaken: bool) -> None:
    """At random, judged by a plain dict."""
    for seed in range(150):
        chance = Random(seed)
        meanwhile = Meanwhile()
        lab = lab_with(meanwhile)
        browser = visitor(lab, **START)
        twins = Twins(lab, browser)
        kinds = [kind for kind in KINDS if kind not in ("save", "reload", "others")]
        moves = [
            (chance.choice(kinds), chance.choice(KEYS), chance.randrange(12)) for _ in range(9)
        ]
        twins.session["mine"] = twins.plain["mine"] = 1
        for move in moves[:3]:
            twins.move(*move)
        if overtaken:
            twins.move("others", "", 0)

        def go_on(moves: Any = moves[3:6], twins: Any = twins) -> None:
            for move in moves:
                twins.move(*move)

        meanwhile.verb, meanwhile.early = "save", go_on
        twins.session.save()
        for move in moves[6:]:
            twins.move(*move)
        if overtaken:
            twins.move("others", "", 0)
        twins.session.save()

        stored = browser.data()
        stored.pop("other", None)
        encode = lab.desk.encode
        found = {key: encode(value) for key, value in stored.items()}
        assert found == {key: encode(value) for key, value in twins.plain.items()}, (seed, moves)
        assert not lab.told(ev.Collided), (seed, moves)


# -- real tasks


async def visit(site: Any, do: Any, cookie: str = "") -> str:
    """One request; the cookie afterwards."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"cookie", cookie.encode())] if cookie else []
    scope = {"type": "http", "method": "GET", "path": "/", "scheme": "https", "headers": headers}
    await site({**scope, "do": do}, None, send)
    assert sent[0]["status"] == 200
    for name, value in sent[0]["headers"]:
        if name == b"set-cookie":
            cookie = value.decode().partition(";")[0]
    return cookie


async def app(scope: Any, receive: Any, send: Any) -> None:
    await scope["do"](scope["session"])
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def read(site: Any, cookie: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def look(session: Any) -> None:
        await session.aload()
        found.update(session)

    await visit(site, look, cookie)
    return found


async def test_two_tasks_save_a_new_session_at_once() -> None:
    """Neither is told that the id is taken."""
    gate = Gate("create")
    site = SessionMiddleware(
        app, SessionSettings.for_tests(store=wrap(AsyncMemoryStore(), gate)), load="lazy"
    )

    async def both(session: Any) -> None:
        session["a"] = 1
        first = asyncio.create_task(session.asave())
        await gate.reached()
        session["b"] = 2
        second = asyncio.create_task(session.asave())
        await asyncio.sleep(0)
        gate.open()
        await asyncio.gather(first, second)

    assert await read(site, await visit(site, both)) == {"a": 1, "b": 2}


async def test_two_tasks_save_at_once_while_the_session_gets_another_id() -> None:
    """What the first one has not done yet is not done twice."""
    gate = Gate("end_user")
    counting = Counting()
    site = SessionMiddleware(
        app, SessionSettings.for_tests(store=wrap(AsyncMemoryStore(), gate, counting))
    )

    async def begin(session: Any) -> None:
        session.login("ada")

    cookie = await visit(site, begin)

    async def both(session: Any) -> None:
        session.regenerate()
        session.logout_others()
        first = asyncio.create_task(session.asave())
        await gate.reached()
        session["b"] = 2
        second = asyncio.create_task(session.asave())
        for _ in range(9):
            await asyncio.sleep(0)
        gate.open()
        await asyncio.gather(first, second)

    assert await read(site, await visit(site, both, cookie)) == {"b": 2}
    assert counting.trips["end_user"] == 1


async def test_two_tasks_load_the_session_at_once() -> None:
    """The second answer does not undo what the first task has changed by then."""
    gate = Gate("load")
    site = SessionMiddleware(
        app, SessionSettings.for_tests(store=wrap(AsyncMemoryStore(), gate)), load="lazy"
    )

    async def begin(session: Any) -> None:
        session["a"] = 1

    cookie = await visit(site, begin)

    async def both(session: Any) -> None:
        slow = asyncio.create_task(session.aload())
        await gate.reached()
        await session.aload()
        session["b"] = 2
        gate.open()
        await slow
        session["c"] = 3

    await visit(site, both, cookie)

    assert await read(site, cookie) == {"a": 1, "b": 2, "c": 3}


async def test_a_reload_beside_a_save_keeps_what_is_saved() -> None:
    """They take turns."""
    gate = Gate("save")
    site = SessionMiddleware(
        app, SessionSettings.for_tests(store=wrap(AsyncMemoryStore(), gate)), load="lazy"
    )

    async def begin(session: Any) -> None:
        session["log"] = [0]

    cookie = await visit(site, begin)

    async def both(session: Any) -> None:
        await session.aload()
        session["log"].append(1)
        saving = asyncio.create_task(session.asave())
        await gate.reached()
        looking = asyncio.create_task(session.areload())
        await asyncio.sleep(0)
        gate.open()
        await asyncio.gather(saving, looking)
        session["log"].append(2)

    await visit(site, both, cookie)

    assert await read(site, cookie) == {"log": [0, 1, 2]}


class AtSecond(Fault):
    """Does something when the second save has been performed, before that is told."""

    def __init__(self) -> None:
        self.saves = 0
        self.do: Callable[[], object] | None = None

    def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
        answer = yield call()
        if operation == "save" and self.do is not None:
            self.saves += 1
            if self.saves == 2:
                self.do()
                yield asyncio.sleep(0)
        return answer


async def test_a_reload_that_is_cancelled_sends_a_write_again_to_its_end() -> None:
    """Merged with what others wrote, it would else be merged once more."""
    meanwhile, second = Meanwhile("refused"), AtSecond()
    settings = SessionSettings.for_tests(store=wrap(AsyncMemoryStore(), meanwhile, second))
    site = SessionMiddleware(app, settings, load="lazy")

    async def begin(session: Any) -> None:
        session["n"] = 0

    async def count(session: Any) -> None:
        await session.aload()
        session.apply("n", lambda n: n + 1)

    cookie = await visit(site, begin)

    async def cancelled(session: Any) -> None:
        await count(session)
        meanwhile.verb = "save"
        with pytest.raises(StoreUnavailable):
            await session.asave()
        await visit(site, count, cookie)
        looking = asyncio.create_task(session.areload())
        second.do = looking.cancel
        with pytest.raises(asyncio.CancelledError):
            await looking
        assert second.saves == 2

    await visit(site, cancelled, cookie)

    assert await read(site, cookie) == {"n": 2}
