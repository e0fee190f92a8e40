"""`request.session` as Django's parts and third parties know it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.backends.base import CreateError, SessionBase
from django.core.management import call_command
from django.test import AsyncClient, Client
from django.utils import timezone

from openclaw_middleware import SessionNotLoaded
from openclaw_middleware.adapters.django import get_manager, get_session
from openclaw_middleware.adapters.django.deployment import Deployment
from openclaw_middleware.adapters.django.session import DjangoSession
from openclaw_middleware.testing import Clock

from .project import aviews, views

pytestmark = pytest.mark.usefixtures("deployment", "test_database")

# What Django says in terms of what we override.
INHERITED = {
    "TEST_COOKIE_NAME",
    "TEST_COOKIE_VALUE",
    "decode",
    "delete_test_cookie",
    "encode",
    "key_salt",
    "set_test_cookie",
    "test_cookie_worked",
}


def run(task: Callable[[Any], Any], client: Client | None = None) -> Any:
    views.task = task
    return (client or Client()).get("/run")


def arun(task: Callable[[Any], Any]) -> Any:
    aviews.task = task
    return async_to_sync(AsyncClient().get)("/arun")


def test_nothing_of_djangos_own_storage_is_left() -> None:
    names = {name for name, _ in inspect.getmembers(SessionBase) if not name.startswith("_")}
    left = {name for name in names if _owner(DjangoSession, name) is SessionBase}
    assert left == INHERITED


def test_every_awaitable_twin_is_there() -> None:
    twins = {n for n in vars(SessionBase) if n.startswith("a") and n[1:] in vars(SessionBase)}
    assert len(twins) >= 20
    for name in twins | {"aload", "asave", "acreate", "adelete", "aexists"}:
        assert inspect.iscoroutinefunction(getattr(DjangoSession, name)), name
        assert _owner(DjangoSession, name) is not SessionBase, name


def _owner(kind: type, name: str) -> type:
    return next(each for each in kind.__mro__ if name in vars(each))


def test_it_is_one_of_djangos_sessions_and_always_true() -> None:
    run(lambda r: _assert(isinstance(r.session, SessionBase) and bool(r.session)))


def _assert(truth: object) -> str:
    assert truth
    return "fine"


def test_the_mapping() -> None:
    def task(request: Any) -> None:
        s = request.session
        s["a"] = 1
        s.update({"b": 2})
        assert s.setdefault("c", 3) == 3
        assert s.pop("b") == 2
        assert s.pop("b", None) is None
        with pytest.raises(KeyError):
            s.pop("b")
        assert s.has_key("a")
        assert "a" in s
        assert s.get("zz", 5) == 5
        assert (list(s.keys()), list(s.values())) == (["a", "c"], [1, 3])
        assert dict(s.items()) == dict(s) == {"a": 1, "c": 3}
        del s["a"]
        s.set_test_cookie()
        assert s.test_cookie_worked()
        s.delete_test_cookie()
        assert not s.test_cookie_worked()
        assert s.decode(s.encode({"x": 1})) == {"x": 1}

    client = Client()
    run(task, client)
    assert client.get("/read").json() == {"c": 3}


def test_the_twins() -> None:
    async def task(request: Any) -> None:
        s = request.session
        await s.aset("a", 1)
        await s.aupdate({"b": 2})
        assert await s.asetdefault("c", 3) == 3
        assert await s.apop("b") == 2
        assert await s.apop("b", None) is None
        with pytest.raises(KeyError):
            await s.apop("b")
        assert await s.ahas_key("a")
        assert await s.aget("zz", 5) == 5
        assert list(await s.akeys()) == ["a", "c"]
        assert list(await s.avalues()) == [1, 3]
        assert dict(await s.aitems()) == {"a": 1, "c": 3}
        await s.aset_test_cookie()
        assert await s.atest_cookie_worked()
        await s.adelete_test_cookie()
        await s.aset_expiry(60)
        assert await s.aget_expiry_age() == 60
        assert not await s.aget_expire_at_browser_close()
        assert await s.aget_expiry_date() > timezone.now()
        await s.asave()
        assert await s.aexists(s.session_key)
        first = s.session_key
        await s.acycle_key()
        assert s.session_key != first
        await s.acreate()
        assert not await s.aexists(first)
        with pytest.raises(CreateError):
            await s.asave(must_create=True)
        await s.adelete()
        assert s.session_key is None
        await s.aflush()
        await s.aclear_expired()

    assert arun(task).status_code == 200


@pytest.mark.parametrize(
    "access",
    [lambda s: s["a"], lambda s: s.get("a"), lambda s: s.save(), lambda s: s.update(a=1)],
)
def test_a_synchronous_access_in_an_async_view_names_the_twin(access: Any) -> None:
    client = AsyncClient()

    async def task(request: Any) -> None:
        with pytest.raises(SessionNotLoaded, match=r"await (request\.)?session\.a"):
            access(request.session)
        await request.session.aload()
        if "save" not in inspect.getsource(access).split(",")[2]:
            assert request.session.get("a", 1) == "1"

    async def visit() -> None:
        await client.get("/awrite", {"a": "1"})
        aviews.task = task
        assert (await client.get("/arun")).status_code == 200

    async_to_sync(visit)()


def test_the_key() -> None:
    seen: dict[str, Any] = {}

    def task(request: Any) -> None:
        s = request.session
        assert s.session_key is None
        assert s.is_empty()
        s["a"] = 1
        assert s.session_key is None
        s.save()
        seen["key"] = s.session_key
        assert s.exists(s.session_key)
        assert not s.exists("x" * 32)
        assert not s.is_empty()

    client = Client()
    run(task, client)
    assert len(seen["key"]) <= 40
    assert seen["key"] not in (client.cookies["sessionid"].value, "")
    assert get_manager().get(seen["key"]) is not None
    run(lambda r: _assert(r.session.session_key == seen["key"] == get_session(r).id), client)
    run(lambda r: r.session.cycle_key(), client)
    assert get_manager().get(seen["key"]) is None
    assert client.get("/read").json() == {"a": 1}


def test_the_public_key_opens_nothing() -> None:
    client, other = Client(), Client()
    client.get("/write", {"a": "1"})
    run(lambda r: r.session.save(), client)
    other.cookies["sessionid"] = client.session.session_key.rsplit(".", 3)[0]
    assert other.get("/read").json() == {}


def test_create_stores_an_empty_session_and_the_old_one_dies() -> None:
    client = Client()
    run(lambda r: r.session.create(), client)
    first = client.cookies["sessionid"].value
    run(lambda r: r.session.create(), client)
    assert client.cookies["sessionid"].value != first
    assert get_manager().stats().live == 1


def test_deleting_another_session_by_its_key() -> None:
    one, two = Client(), Client()
    one.get("/write", {"a": "1"})
    found: list[str] = []
    run(lambda r: found.append(r.session.session_key), one)
    run(lambda r: r.session.delete(found[0]), two)
    assert one.get("/read").json() == {}


def test_modified_and_accessed() -> None:
    def task(request: Any) -> None:
        s = request.session
        assert (s.modified, s.accessed) == (False, False)
        assert s["list"] == [1]
        assert (s.modified, s.accessed) == (False, True)
        s["list"].append(2)
        assert s.modified
        s.modified = False
        assert s["list"] == [1]

    client = Client()
    run(lambda r: r.session.update(list=[1]), client)
    run(task, client)
    assert client.get("/read").json() == {"list": [1]}


def test_modified_starts_the_idle_clock_anew(clock: Clock) -> None:
    client = Client()
    client.get("/write", {"a": "1"})
    found: list[Any] = []
    clock.advance(5)

    def task(request: Any) -> None:
        request.session.modified = True
        found.append(request.session.session_key)

    run(task, client)
    info = get_manager().get(found[0])
    assert info is not None
    assert info.last_active_at == pytest.approx(clock())


def live(client: Client) -> bool:
    return bool(client.get("/read").json())


def test_expiry_in_seconds_of_inactivity(clock: Clock) -> None:
    client = Client()

    def task(request: Any) -> None:
        request.session["a"] = 1
        request.session.set_expiry(100)
        assert request.session.get_expiry_age() == 100
        assert not request.session.get_expire_at_browser_close()

    response = run(task, client)
    assert int(response.cookies["sessionid"]["max-age"]) > 0
    clock.advance(90)
    assert live(client)
    clock.advance(90)
    assert live(client)
    clock.advance(101)
    assert not live(client)


@pytest.mark.parametrize("as_date", [True, False])
def test_expiry_at_a_fixed_moment(clock: Clock, deployment: Deployment, as_date: bool) -> None:
    from datetime import UTC, datetime

    client = Client()
    end = timedelta(seconds=200)
    moment = datetime.fromtimestamp(clock(), UTC) + end

    def task(request: Any) -> None:
        request.session["a"] = 1
        request.session.set_expiry(moment if as_date else end)
        assert request.session.get_expiry_age() == pytest.approx(200, abs=1)
        assert request.session.get_expiry_date() == moment

    run(task, client)
    clock.advance(150)
    assert live(client)
    clock.advance(49)
    assert live(client)
    clock.advance(1.1)
    assert not live(client)


def test_expiry_with_the_browser_and_back_to_the_default(clock: Clock) -> None:
    client = Client()

    def browser(request: Any) -> None:
        request.session["a"] = 1
        request.session.set_expiry(0)
        assert request.session.get_expire_at_browser_close()
        assert request.session.get_expiry_age() == 1800

    assert run(browser, client).cookies["sessionid"]["max-age"] == ""
    run(lambda r: r.session.set_expiry(10), client)
    run(lambda r: r.session.set_expiry(None), client)
    clock.advance(1700)
    assert live(client)


def test_expiry_survives_the_sign_in(clock: Clock) -> None:
    client = Client()
    run(lambda r: (r.session.set_expiry(100), r.session.login("7")), client)
    clock.advance(101)
    assert get_manager().sessions_of("7").items == ()


def test_expiry_beyond_the_absolute_limit_is_said(caplog: pytest.LogCaptureFixture) -> None:
    run(lambda r: r.session.set_expiry(10**7))
    assert "absolute limit" in caplog.text


def test_clearsessions_purges(clock: Clock) -> None:
    Client().get("/write", {"a": "1"})
    assert get_manager().stats().live == 1
    clock.advance(40 * 86400)
    call_command("clearsessions")
    stats = get_manager().stats()
    assert (stats.live, stats.tombstones) == (0, 0)


def test_messages_in_the_session() -> None:
    from django.contrib import messages
    from django.test import override_settings

    for storage in ("session.SessionStorage", "fallback.FallbackStorage"):
        with override_settings(MESSAGE_STORAGE=f"django.contrib.messages.storage.{storage}"):
            client = Client()
            run(lambda r: messages.success(r, "saved"), client)
            shown = run(lambda r: [str(m) for m in messages.get_messages(r)], client)
            assert shown.content == b"['saved']"
            again = run(lambda r: [str(m) for m in messages.get_messages(r)], client)
            assert again.content == b"[]"
