"""Sign-ins that another framework made in a session which Django had known before.

What Django notes of a sign-in (its backend, the hash of the password) must not outlive it: Django
would throw out whoever signed in next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from openclaw_middleware import SessionManager
from openclaw_middleware.adapters.django import conf, get_manager
from openclaw_middleware.session import Session
from openclaw_middleware.testing import session_of
from openclaw_middleware.wsgi import SessionMiddleware

from .project import views

pytestmark = pytest.mark.usefixtures("database", "deployment")

Deed = Callable[[Session], object]


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada", password="pw")


@pytest.fixture
def bob() -> User:
    return User.objects.create_user("bob", password="pw")


@pytest.fixture
def client() -> Client:
    return Client()


def elsewhere(client: Client, deed: Deed) -> None:
    """Do something to the client's session in an application without Django, on the same store."""

    def application(environ: Any, start_response: Any) -> list[bytes]:
        deed(environ["openclaw.session"])
        start_response("200 OK", [])
        return [b""]

    name = conf.runtime().desk.cookie.name
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_COOKIE": ""}
    if name in client.cookies:
        environ["HTTP_COOKIE"] = f"{name}={client.cookies[name].value}"
    sent: list[tuple[str, str]] = []
    plain = SessionMiddleware(application, SessionManager(conf.runtime()))
    body: Any = plain(environ, lambda status, headers, exc_info=None: sent.extend(headers))
    list(body)
    for header, value in sent:
        if header == "Set-Cookie":
            client.cookies[name] = value.split(";")[0].partition("=")[2]


def drop_identity(session: Session) -> None:
    """As Flask-Login signs out."""
    del session[str(session._x.rules.identity_key)]


def whoami(client: Client) -> str:
    return client.get("/whoami").content.decode()


def test_another_user_after_a_sign_out_that_kept_the_data(
    client: Client, ada: User, bob: User
) -> None:
    client.get("/login", {"name": "ada", "password": "pw"})
    client.get("/write", {"cart": "3"})
    elsewhere(client, drop_identity)
    assert session_of(client).to_dict() == {"cart": "3"}
    elsewhere(client, lambda session: session.login(bob.pk))
    assert whoami(client) == "bob"
    assert whoami(client) == "bob"


def test_the_same_user_with_a_new_password(client: Client, ada: User) -> None:
    client.get("/login", {"name": "ada", "password": "pw"})
    ada.set_password("new")
    ada.save()
    elsewhere(client, lambda session: session.login(ada.pk))
    assert whoami(client) == "ada"


def test_a_longer_sign_in_by_django_stays_bound_to_the_password(client: Client, ada: User) -> None:
    def enter(request: Any) -> str:
        from django.contrib.auth import authenticate, login

        login(request, authenticate(request, username="ada", password="pw"))
        request.session.login(ada.pk, remember=True)
        return "in"

    views.task = enter
    client.get("/run")
    assert whoami(client) == "ada"
    (only,) = get_manager().sessions_of(ada.pk).items
    assert only.policy == "remember"
    ada.set_password("new")
    ada.save()
    assert whoami(client) == "nobody"


def test_signing_in_at_django_over_a_foreign_sign_in(client: Client, ada: User) -> None:
    elsewhere(client, lambda session: session.login(ada.pk))
    before = session_of(client).id
    client.get("/login", {"name": "ada", "password": "pw"})
    assert session_of(client).id != before
    ada.set_password("new")
    ada.save()
    assert whoami(client) == "nobody"
