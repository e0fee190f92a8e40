"""The tests an author of these applications writes: no server, no Redis, no log-in form.

pytest examples/shared_login
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client as DjangoClient
from fastapi.testclient import TestClient
from flask.testing import FlaskClient

from examples.shared_login import fastapi_app, flask_app
from examples.shared_login.people import OTHER, PASSWORD, STAFF
from examples.shared_login.settings import COOKIE
from openclaw_middleware.adapters.flask import get_manager
from openclaw_middleware.testing import login, session_of

FORM = {"username": STAFF, "password": PASSWORD}


@pytest.fixture
def ada() -> str:
    """Her id, as all three know it."""
    return str(User.objects.get(username=STAFF).pk)


@pytest.fixture
def in_django() -> DjangoClient:
    return DjangoClient()


@pytest.fixture
def in_flask() -> Iterator[FlaskClient]:
    with flask_app.create_app().test_client() as client:
        yield client


@pytest.fixture
def in_fastapi() -> TestClient:
    # A Secure cookie does not travel to http://testserver.
    return TestClient(fastapi_app.create_app(), "https://testserver", follow_redirects=False)


@pytest.fixture(params=["django", "flask", "fastapi"])
def client(request: pytest.FixtureRequest) -> Any:
    """One after the other: `login` and `session_of` take the test client of each framework."""
    return request.getfixturevalue(f"in_{request.param}")


def test_somebody_signed_in_is_seen(client: Any, ada: str) -> None:
    login(client, ada, visits=7)
    page = client.get("/me")
    seen = page.json if isinstance(client, FlaskClient) else page.json()
    assert (seen["name"], seen["visits"]) == (STAFF, 7)


def test_a_visit_is_counted(client: Any, ada: str) -> None:
    login(client, ada, visits=7)
    client.post("/visit")
    assert session_of(client)["visits"] == 8


def test_signing_in_and_out(client: Any, ada: str) -> None:
    client.post("/visit")
    before = session_of(client).id
    client.post("/sign-in", data=FORM)
    session = session_of(client)
    assert (session.user_id, session["visits"]) == (ada, 1)
    assert session.id != before
    client.post("/sign-out")
    assert session_of(client).user_id is None


def test_a_wrong_password(client: Any) -> None:
    assert client.post("/sign-in", data={**FORM, "password": "?"}).status_code == 401
    assert session_of(client).user_id is None


def test_one_cookie_opens_all_three(
    in_django: DjangoClient, in_flask: FlaskClient, in_fastapi: TestClient, ada: str
) -> None:
    in_flask.post("/sign-in", data=FORM)
    cookie = in_flask.get_cookie(COOKIE)
    assert cookie is not None
    in_django.cookies[COOKIE] = cookie.value
    in_fastapi.cookies.set(COOKIE, cookie.value)
    assert in_django.get("/admin/").status_code == 200
    assert in_fastapi.get("/me").json()["user_id"] == ada
    in_django.post("/sign-out")
    assert in_fastapi.get("/me").json()["user_id"] is None
    assert session_of(in_flask).user_id is None


def test_who_is_no_staff_may_not_see_the_admin(in_django: DjangoClient) -> None:
    login(in_django, User.objects.get(username=OTHER).pk)
    assert in_django.get("/admin/").status_code == 302


def test_an_operator_ends_all_sessions_of_somebody(
    in_django: DjangoClient, in_flask: FlaskClient, ada: str
) -> None:
    bob = User.objects.get(username=OTHER)
    login(in_django, ada)
    login(in_flask, bob.pk)
    chosen = {"action": "sign_out_everywhere", "_selected_action": [str(bob.pk)]}
    page = in_django.post("/admin/auth/user/", chosen, follow=True)
    assert "sessions ended." in page.content.decode()
    assert session_of(in_flask).user_id is None
    with in_flask.application.app_context():
        assert get_manager().sessions_of(bob.pk).items == ()
