"""Authlib's OAuth client for Starlette, unchanged: its state lives in our session.

The provider is played by a transport that answers in this process.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from authlib.integrations.starlette_client import OAuth, OAuthError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from openclaw_middleware import SessionSettings
from openclaw_middleware.adapters.starlette import SessionMiddleware, get_session
from openclaw_middleware.testing.clients import session_of


class Provider:
    """Hands out a token for the code "good", and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, list[str]]] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        form = parse_qs(request.content.decode())
        self.asked.append(form)
        if form["code"] != ["good"]:
            return httpx2.Response(400, json={"error": "invalid_grant"})
        return httpx2.Response(200, json={"access_token": "for-ada", "token_type": "Bearer"})


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def client(provider: Provider) -> TestClient:
    oauth = OAuth()
    oauth.register(
        "provider",
        client_id="us",
        client_secret="ours",
        authorize_url="https://provider.example/authorize",
        access_token_url="https://provider.example/token",
        client_kwargs={
            "scope": "profile",
            "code_challenge_method": "S256",
            "transport": httpx2.MockTransport(provider),
        },
    )

    async def sign_in(request: Request) -> Response:
        answer: Response = await oauth.provider.authorize_redirect(
            request, str(request.url_for("callback"))
        )
        return answer

    async def callback(request: Request) -> Response:
        try:
            token = await oauth.provider.authorize_access_token(request)
        except OAuthError as error:
            return PlainTextResponse(error.error, 400)
        get_session(request).login(token["access_token"].removeprefix("for-"))
        return PlainTextResponse("in")

    async def who(request: Request) -> Response:
        return JSONResponse(get_session(request).user_id)

    app = Starlette(
        routes=[Route("/sign-in", sign_in), Route("/callback", callback), Route("/who", who)],
        middleware=[Middleware(SessionMiddleware, sessions=SessionSettings.for_tests())],
    )
    return TestClient(app, follow_redirects=False)


def begin(client: TestClient) -> dict[str, Any]:
    """Start a sign-in; what the provider is sent in the address."""
    answer = client.get("/sign-in")
    assert answer.status_code == 302
    where = urlsplit(answer.headers["location"])
    assert where.netloc == "provider.example"
    return {key: value[0] for key, value in parse_qs(where.query).items()}


def states(client: TestClient) -> list[str]:
    return [key for key in session_of(client) if key.startswith("_state_provider_")]


def test_sign_in_through_a_provider(client: TestClient, provider: Provider) -> None:
    """The state is kept, comes back, is removed, and the session gets a new identity."""
    sent = begin(client)
    assert states(client) == [f"_state_provider_{sent['state']}"]
    anonymous = client.cookies["session"]

    answer = client.get("/callback", params={"state": sent["state"], "code": "good"})
    assert answer.text == "in"
    assert states(client) == []
    assert client.cookies["session"] != anonymous
    assert client.get("/who").json() == "ada"
    assert provider.asked[0]["code_verifier"], "the verifier came out of the session as well"


def test_a_state_works_once(client: TestClient) -> None:
    sent = begin(client)
    params = {"state": sent["state"], "code": "good"}
    assert client.get("/callback", params=params).text == "in"
    assert client.get("/callback", params=params).status_code == 400


def test_a_state_of_another_browser_is_refused(client: TestClient, provider: Provider) -> None:
    """The reason why the state belongs into a session at all."""
    sent = begin(client)
    client.cookies.clear()
    answer = client.get("/callback", params={"state": sent["state"], "code": "good"})
    assert answer.status_code == 400
    assert answer.text == "mismatching_state"
    assert provider.asked == []


def test_an_attempt_that_was_given_up_leaves_no_state_behind(client: TestClient) -> None:
    """Authlib sweeps the keys of earlier attempts, through our mapping."""
    begin(client)
    second = begin(client)
    assert states(client) == [f"_state_provider_{second['state']}"]


def test_a_refusal_of_the_provider_keeps_nobody_signed_in(client: TestClient) -> None:
    sent = begin(client)
    answer = client.get("/callback", params={"state": sent["state"], "code": "bad"})
    assert (answer.status_code, answer.text) == (400, "invalid_grant")
    assert client.get("/who").json() is None
    assert states(client) == []
