"""The tests an author of `flask_app` writes: no server, no cookies by hand, no log-in form."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from examples.flask_app import create_app
from openclaw_middleware.adapters.flask import get_manager
from openclaw_middleware.testing.clients import login, session_of

KEY = "8sUe5cTqk1bW0mVn4yXo7zRj3dGf6hLaPpQiNtJrKvEwYx"


@pytest.fixture
def app() -> Flask:
    return create_app(SECRET_KEY=KEY, OPENCLAW={"STORE": "memory://"}, TESTING=True)


@pytest.fixture
def client(app: Flask) -> Iterator[FlaskClient]:
    with app.test_client() as client:
        yield client


def test_notes_are_shown_to_whoever_wrote_them(client: FlaskClient) -> None:
    login(client, "ada", notes=["water the fig"])
    client.post("/note", data={"text": "call Grace"})
    assert session_of(client)["notes"] == ["water the fig", "call Grace"]
    assert "call Grace" in client.get("/").text


def test_sign_in_and_out(client: FlaskClient) -> None:
    client.post("/login", data={"user": "ada"})
    assert session_of(client).user_id == "ada"
    page = client.post("/logout", follow_redirects=True)
    assert "Good-bye." in page.text
    assert session_of(client).user_id is None


def test_one_browser_ends_another(app: Flask, client: FlaskClient) -> None:
    other = app.test_client()
    lost = login(other, "ada")
    login(client, "ada")
    client.post(f"/end/{lost.id}")
    assert "Signed in as" not in other.get("/").text
    assert "Signed in as ada" in client.get("/").text


def test_sign_out_everywhere(app: Flask, client: FlaskClient) -> None:
    login(app.test_client(), "ada")
    login(client, "ada")
    client.post("/logout", data={"everywhere": "1"})
    with app.app_context():
        assert get_manager().sessions_of("ada").items == ()


def test_a_restart_signs_nobody_out(tmp_path: Path) -> None:
    config = {"SECRET_KEY": KEY, "OPENCLAW": {"STORE": f"sqlite:///{tmp_path / 'sessions.db'}"}}
    before = create_app(**config).test_client()
    before.post("/login", data={"user": "ada"})
    cookie = before.get_cookie("__Host-session")
    assert cookie is not None
    after = create_app(**config).test_client()
    after.set_cookie(cookie.key, cookie.value)
    assert "Signed in as ada" in after.get("/").text
