"""django.contrib.auth on our sessions, through both of Django's halves and both levels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.models import User
from django.db import models
from django.test import AsyncClient, Client, override_settings

from openclaw_middleware.adapters.django import get_manager, identity
from openclaw_middleware.adapters.django.deployment import Deployment

from .project import aviews, views
from .project.settings import MIDDLEWARE

pytestmark = pytest.mark.usefixtures("database", "deployment")

STOCK = ["django.contrib.sessions.middleware.SessionMiddleware", *MIDDLEWARE[1:]]


class Half:
    """A browser on one half of Django: plain views by WSGI, or async views by ASGI."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.client: Any = AsyncClient() if prefix else Client()

    def get(self, path: str, **query: str) -> Any:
        get = async_to_sync(self.client.get) if self.prefix else self.client.get
        return get(f"/{self.prefix}{path}", query)

    @property
    def cookie(self) -> str:
        found = self.client.cookies.get("sessionid")
        return found.value if found else ""

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.client.cookies["sessionid"] = value

    def run(self, plain: Callable[[Any], Any], awaited: Callable[[Any], Any]) -> Any:
        views.task, aviews.task = plain, awaited
        return self.get("run")

    def whoami(self) -> str:
        return self.get("whoami").content.decode()


@pytest.fixture(params=["middleware", "engine"])
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "middleware":
        yield request.param
        return
    with override_settings(MIDDLEWARE=STOCK):
        yield request.param


@pytest.fixture(params=["", "a"], ids=["plain", "async"])
def half(request: pytest.FixtureRequest, level: str, deployment: Deployment) -> Half:
    return Half(request.param)


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada", password="pw")


def test_sign_in_and_out(half: Half, ada: User) -> None:
    assert half.get("login", name="ada", password="pw").status_code == 200
    assert half.whoami() == "ada"
    before = half.cookie
    half.get("logout")
    assert half.whoami() == "nobody"
    half.cookie = before
    assert half.whoami() == "nobody"


def test_the_user_is_known_to_the_manager(half: Half, ada: User) -> None:
    half.get("login", name="ada", password="pw")
    assert len(get_manager().sessions_of(ada.pk).items) == 1
    assert get_manager().revoke_user(ada.pk) == 1
    assert half.whoami() == "nobody"


def test_a_forged_cookie_is_nobody(half: Half, ada: User) -> None:
    half.get("login", name="ada", password="pw")
    signed, _, signature = half.cookie.rpartition(".")
    half.cookie = f"{signed}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    assert half.whoami() == "nobody"
    half.cookie = "nonsense"
    assert half.whoami() == "nobody"


def test_a_session_fixed_before_the_sign_in_is_dead_after_it(half: Half, ada: User) -> None:
    half.get("write", cart="3")
    fixed = half.cookie
    half.get("login", name="ada", password="pw")
    assert half.cookie != fixed
    assert half.get("read").json()["cart"] == "3"
    half.cookie = fixed
    assert half.whoami() == "nobody"
    assert half.get("read").json() == {}


def test_a_changed_password_ends_other_sessions(half: Half, ada: User) -> None:
    half.get("login", name="ada", password="pw")
    ada.set_password("new")
    ada.save()
    assert half.whoami() == "nobody"
    assert get_manager().sessions_of(ada.pk).items == ()


def test_the_session_that_changed_the_password_stays(half: Half, ada: User) -> None:
    other = Half(half.prefix)
    other.get("login", name="ada", password="pw")
    half.get("login", name="ada", password="pw")
    before = half.cookie

    def change(request: Any) -> str:
        request.user.set_password("new")
        request.user.save()
        update_session_auth_hash(request, request.user)
        return "changed"

    async def achange(request: Any) -> str:
        from django.contrib.auth import aupdate_session_auth_hash

        request.user = await request.auser()
        request.user.set_password("new")
        await request.user.asave()
        await aupdate_session_auth_hash(request, request.user)
        return "changed"

    assert half.run(change, achange).content == b"changed"
    assert half.cookie != before
    assert half.whoami() == "ada"
    assert other.whoami() == "nobody"


def test_another_user_does_not_inherit_the_data(half: Half, ada: User) -> None:
    User.objects.create_user("bob", password="pw")
    half.get("login", name="ada", password="pw")
    half.get("write", secret="ada's")
    half.get("login", name="bob", password="pw")
    assert half.whoami() == "bob"
    assert "secret" not in half.get("read").json()


def test_signing_in_again_is_a_new_sign_in(half: Half, ada: User, clock: Any) -> None:
    half.get("login", name="ada", password="pw")
    half.get("write", a="1")
    before, clock_before = half.cookie, clock()
    clock.advance(600)
    half.get("login", name="ada", password="pw")
    assert half.cookie != before
    assert half.get("read").json()["a"] == "1"
    (only,) = get_manager().sessions_of(ada.pk).items
    assert only.authenticated_at == pytest.approx(clock_before + 600)


def sign_in_elsewhere(half: Half, user_id: object) -> None:
    """As Flask or FastAPI would: the user id, and nothing of Django's."""

    def enter(request: Any) -> str:
        request.session.login(user_id)
        return "in"

    async def aenter(request: Any) -> str:
        await request.session.aload()
        request.session.login(user_id)
        if type(request.session).__module__.endswith("engine"):
            await request.session.asave()
        return "in"

    assert half.run(enter, aenter).content == b"in"


def test_a_sign_in_by_another_framework_counts(half: Half, ada: User) -> None:
    sign_in_elsewhere(half, ada.pk)
    assert half.whoami() == "ada"
    assert half.whoami() == "ada"
    assert half.get("read").json() == {"_auth_user_id": str(ada.pk)}
    half.get("logout")
    assert half.whoami() == "nobody"


def test_a_user_id_that_cannot_be_a_key_is_nobody_here(half: Half) -> None:
    sign_in_elsewhere(half, "ada@example.org")
    assert half.whoami() == "nobody"
    (only,) = get_manager().sessions_of("ada@example.org").items
    assert only.user_id == "ada@example.org"


@pytest.mark.parametrize("written", ["0{}", " {}", "{}\n", "+{}", "{}.0"])
def test_a_key_written_otherwise_is_another_user(half: Half, ada: User, written: str) -> None:
    """Else Django would take somebody for ada whom no end of all her sessions reaches."""
    sign_in_elsewhere(half, written.format(ada.pk))
    assert half.whoami() == "nobody"


def test_keys_of_every_kind_are_known_as_django_writes_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    field = models.UUIDField(primary_key=True)
    field.set_attributes_from_name("id")
    monkeypatch.setattr(User._meta, "pk", field)
    key = uuid4()
    assert identity.names_a_user(str(key))
    assert not identity.names_a_user(key.hex)
    assert not identity.names_a_user("ada")


def test_a_foreign_sign_in_can_be_replaced_by_one_of_djangos(half: Half, ada: User) -> None:
    sign_in_elsewhere(half, "not a number")
    half.get("login", name="ada", password="pw")
    assert half.whoami() == "ada"
    assert get_manager().sessions_of("not a number").items == ()


def test_an_inactive_user_is_nobody_and_stays_signed_in_elsewhere(half: Half, ada: User) -> None:
    sign_in_elsewhere(half, ada.pk)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert half.whoami() == "nobody"
    assert len(get_manager().sessions_of(ada.pk).items) == 1


def test_a_key_taken_from_the_fallbacks_renews_the_hash(half: Half, ada: User) -> None:
    from django.conf import settings

    half.get("login", name="ada", password="pw")
    hash_before = half.get("read").json()["_auth_user_hash"]
    new = "another " + settings.SECRET_KEY
    with override_settings(SECRET_KEY=new, SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
        assert half.whoami() == "ada"
        assert half.get("read").json()["_auth_user_hash"] != hash_before


def test_the_test_client_signs_in_and_out(level: str, ada: User) -> None:
    client = Client()
    assert client.login(username="ada", password="pw")
    assert client.get("/whoami").content == b"ada"
    session = client.session
    session["seen"] = 1
    session.save()
    assert client.get("/read").json()["seen"] == 1
    client.logout()
    assert client.get("/whoami").content == b"nobody"
    assert get_manager().sessions_of(ada.pk).items == ()
    client.force_login(ada)
    assert client.get("/whoami").content == b"ada"


def test_the_async_test_client_signs_in_and_out(level: str, ada: User) -> None:
    async def visit() -> None:
        client = AsyncClient()
        assert await client.alogin(username="ada", password="pw")
        assert (await client.get("/awhoami")).content == b"ada"
        session = await client.asession()
        await session.aset("seen", 1)
        await session.asave()
        assert (await client.get("/aread")).json()["seen"] == 1
        await client.alogout()
        assert (await client.get("/awhoami")).content == b"nobody"
        await client.aforce_login(ada)
        assert (await client.get("/awhoami")).content == b"ada"

    async_to_sync(visit)()


def test_a_sync_view_under_asgi_loads_by_itself(level: str, ada: User) -> None:
    async def visit() -> None:
        client = AsyncClient()
        await client.get("/login", {"name": "ada", "password": "pw"})
        assert (await client.get("/whoami")).content == b"ada"

    async_to_sync(visit)()
