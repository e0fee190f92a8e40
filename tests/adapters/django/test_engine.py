"""The engine under Django's own middleware: what the compatibility level keeps, and what not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.test import Client, override_settings

from openclaw_middleware import EndReason
from openclaw_middleware.adapters.django import conf, get_manager
from openclaw_middleware.adapters.django.deployment import Deployment
from openclaw_middleware.adapters.django.engine import SessionStore
from openclaw_middleware.testing import Clock, Counting, wrap
from tests.fresh import namespace as new_namespace

from .project import views
from .project.settings import MIDDLEWARE

pytestmark = pytest.mark.usefixtures("deployment", "database")


@pytest.fixture(autouse=True)
def stock() -> Iterator[None]:
    first = "django.contrib.sessions.middleware.SessionMiddleware"
    with override_settings(MIDDLEWARE=[first, *MIDDLEWARE[1:]]):
        yield


def run(task: Callable[[Any], Any], client: Client) -> Any:
    views.task = task
    return client.get("/run")


def stored(**data: Any) -> str:
    session = SessionStore()
    session.update(data)
    session.save()
    assert session.session_key is not None
    return session.session_key


def test_untouched_pages_cost_nothing(deployment: Deployment) -> None:
    client = Client()
    client.get("/write", {"a": "1"})
    counting = Counting()
    deployment.blocking.store = wrap(deployment.blocking.store, counting)
    response = client.get("/public")
    assert counting.total == 0
    assert not response.cookies
    assert client.get("/read").json() == {"a": "1"}
    assert counting.total == 1


def test_overlapping_saves_merge() -> None:
    key = stored(a=1, nested={"x": 1, "y": 1})
    one, two = SessionStore(key), SessionStore(key)
    one["nested"]["x"] = 2
    two["nested"]["y"] = 2
    two["b"] = 1
    one.save()
    two.save()
    assert dict(SessionStore(key)) == {"a": 1, "b": 1, "nested": {"x": 2, "y": 2}}


@pytest.mark.parametrize("asynchronous", [False, True], ids=["plain", "async"])
def test_a_save_overtaken_by_a_logout_is_an_update_error(asynchronous: bool) -> None:
    key = stored(a=1)
    slow, other = SessionStore(key), SessionStore(key)
    slow["b"] = 2
    if asynchronous:
        async_to_sync(other.aflush)()
        with pytest.raises(UpdateError):
            async_to_sync(slow.asave)()
    else:
        other.flush()
        with pytest.raises(UpdateError):
            slow.save()
    assert dict(SessionStore(key)) == {}
    assert get_manager().stats().live == 0


def test_a_save_overtaken_by_a_new_key_is_an_update_error() -> None:
    key = stored(a=1)
    slow, other = SessionStore(key), SessionStore(key)
    slow["b"] = 2
    other.cycle_key()
    other.save()
    with pytest.raises(UpdateError):
        slow.save()
    assert dict(SessionStore(other.session_key))["a"] == 1


def test_a_slow_request_does_not_bring_a_session_back() -> None:
    client = Client()
    client.get("/write", {"a": "1"})

    def slow(request: Any) -> None:
        request.session["b"] = 2
        get_manager().revoke(request.session.id, reason=EndReason.SIGNED_OUT)

    response = run(slow, client)
    assert response.status_code == 400
    assert not response.cookies
    assert client.get("/read").json() == {}


def test_a_reader_with_a_dead_token_leaves_the_cookie_alone() -> None:
    client = Client()
    client.get("/write", {"a": "1"})
    SessionStore(client.cookies["sessionid"].value).flush()
    response = client.get("/read")
    assert response.json() == {}
    assert not response.cookies
    assert client.get("/write", {"b": "1"}).cookies["sessionid"].value
    assert client.get("/read").json() == {"b": "1"}


def test_a_dead_key_is_not_taken_up_again() -> None:
    key = stored(a=1)
    SessionStore(key).flush()
    again = SessionStore(key)
    assert again.get("a") is None
    assert again.session_key is None
    again["b"] = 1
    again.save()
    assert again.session_key not in (None, key)


def test_neither_a_public_id_nor_a_guess_opens_or_ends_a_session() -> None:
    key = stored(a=1)
    public = SessionStore(key).load().id
    for guess in (public, "x" * 40, key + "x", "", None, "é" * 9, key * 100):
        session = SessionStore(guess)
        assert dict(session) == {}
        session.flush()
    assert dict(SessionStore(key)) == {"a": 1}
    assert SessionStore().exists(public)
    SessionStore().delete(public)
    assert dict(SessionStore(key)) == {}


def test_create() -> None:
    session = SessionStore()
    session.create()
    assert SessionStore().exists(session.session_key or "")
    with pytest.raises(CreateError):
        session.save(must_create=True)
    fresh = SessionStore()
    fresh.save(must_create=True)
    assert fresh.session_key != session.session_key


def test_reading_counts_as_use(clock: Clock) -> None:
    key = stored(a=1)
    for _ in range(4):
        clock.advance(1700)
        assert dict(SessionStore(key)) == {"a": 1}
    clock.advance(1801)
    assert dict(SessionStore(key)) == {}


def test_a_refused_sign_in_is_an_update_error() -> None:
    limits = {"STORE": "memory://", "MAX_SESSIONS_PER_USER": 1, "ON_LIMIT": "reject"}
    limits["NAMESPACE"] = new_namespace()
    with override_settings(OPENCLAW=limits), conf.using(Deployment(conf.load_settings())):
        first, second = SessionStore(), SessionStore()
        first.login("7")
        first.save()
        second.login("7")
        with pytest.raises(UpdateError):
            second.save()


def test_the_async_half_keeps_the_user() -> None:
    ada = User.objects.create_user("ada")

    async def enter() -> str | None:
        session = SessionStore()
        await session.acycle_key()
        await session.aset("_auth_user_id", str(ada.pk))
        await session.asave()
        return session.session_key

    key = async_to_sync(enter)()
    (only,) = get_manager().sessions_of(ada.pk).items
    assert key is not None
    assert key.startswith(f"{only.id}.")


def test_djangos_admin_works_on_it() -> None:
    User.objects.create_superuser("root", password="pw")
    client = Client(enforce_csrf_checks=True)
    page = client.get("/admin/login/")
    token = page.context["csrf_token"]
    form = {"username": "root", "password": "pw", "csrfmiddlewaretoken": str(token)}
    assert client.post("/admin/login/?next=/admin/", form).status_code == 302
    assert client.get("/admin/").status_code == 200
