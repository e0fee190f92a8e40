"""A Starlette application with sessions, and its author's own test.

Run it:   export OPENCLAW_SESSION__SECRET_KEY=$(openclaw-middleware new-key)
          export OPENCLAW_SESSION__STORE=sqlite:///sessions.db
          uvicorn --factory examples.starlette_app:create_app
Test it:  pytest examples/starlette_app.py
"""

from __future__ import annotations

import secrets

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from openclaw_middleware import ReauthenticationRequired, SessionSettings
from openclaw_middleware.adapters.starlette import SessionMiddleware, get_manager, get_session
from openclaw_middleware.testing import login, session_of


async def cart(request: Request) -> Response:
    """`request.session` is a dict as ever; anonymous visitors have one as soon as it holds."""
    if request.method == "POST":
        request.session.setdefault("cart", []).append((await request.json())["item"])
    return JSONResponse(request.session.get("cart", []))


async def sign_in(request: Request) -> Response:
    """Check the password first. The cart comes along, under a new id and a new secret."""
    form = await request.json()
    if not secrets.compare_digest(form["password"].encode(), b"open sesame"):
        return JSONResponse({"error": "wrong name or password"}, status_code=401)
    get_session(request).login(form["name"], remember=form.get("remember", False))
    return JSONResponse({"signed_in": form["name"]})


async def sign_out(request: Request) -> Response:
    """Final: no slow request of this browser can bring the session back."""
    get_session(request).logout()
    return Response(status_code=204)


async def devices(request: Request) -> Response:
    """Where this user is signed in."""
    user = get_session(request).user_id
    if user is None:
        return JSONResponse([], status_code=401)
    page = await get_manager(request).sessions_of(user)
    return JSONResponse([{"id": info.id, "idle_left": info.idle_left} for info in page.items])


async def change_password(request: Request) -> Response:
    """Only shortly after a sign-in. Every other device is signed out."""
    session = get_session(request)
    session.require_recent(300)
    session.logout_others()
    return Response(status_code=204)


async def sign_in_again(request: Request, error: Exception) -> Response:
    """What `require_recent` leads to is for the application to say."""
    return RedirectResponse("/sign-in", status_code=303)


def create_app(settings: SessionSettings | None = None) -> Starlette:
    """The application; without settings, those of the environment (OPENCLAW_SESSION__...)."""
    return Starlette(
        routes=[
            Route("/cart", cart, methods=["GET", "POST"]),
            Route("/sign-in", sign_in, methods=["POST"]),
            Route("/sign-out", sign_out, methods=["POST"]),
            Route("/devices", devices),
            Route("/password", change_password, methods=["POST"]),
        ],
        middleware=[Middleware(SessionMiddleware, sessions=settings or SessionSettings.load())],
        exception_handlers={ReauthenticationRequired: sign_in_again},
    )


def test_the_cart_survives_the_sign_in() -> None:
    """`for_tests()`: a memory store, and a cookie that travels to http://testserver."""
    client = TestClient(create_app(SessionSettings.for_tests()))
    client.post("/cart", json={"item": "tea"})
    client.post("/sign-in", json={"name": "ada", "password": "open sesame"})
    assert client.get("/cart").json() == ["tea"]
    assert session_of(client).user_id == "ada"


def test_a_new_password_signs_the_other_devices_out() -> None:
    """`login()` goes past the views: no test needs to know the password."""
    app = create_app(SessionSettings.for_tests())
    here, there = TestClient(app), TestClient(app)
    login(here, "ada")
    login(there, "ada", cart=["tea"])
    assert there.get("/cart").json() == ["tea"]
    assert here.post("/password").status_code == 204
    assert there.get("/cart").json() == []
    assert len(here.get("/devices").json()) == 1


def test_a_stranger_is_sent_to_sign_in() -> None:
    """Also what somebody gets whose sign-in is older than five minutes."""
    client = TestClient(create_app(SessionSettings.for_tests()), follow_redirects=False)
    assert client.post("/password").headers["location"] == "/sign-in"
