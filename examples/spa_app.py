"""A single-page application: a static page, a small JSON interface, and the keeper's own API.

The page is `spa/index.html` with `spa/app.js`. It is told by the keeper when the session is about
to end, has ended and why, and when an area wants a fresh sign-in; what was typed stays.

Run it:   export OPENCLAW_SESSION__SECRET_KEY=$(openclaw-middleware new-key)
          export OPENCLAW_SESSION__STORE=sqlite:///sessions.db
          uvicorn --factory examples.spa_app:create_app
Test it:  pytest examples/spa_app.py
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from openclaw_middleware import Policy, SessionSettings
from openclaw_middleware.adapters.starlette import SessionMiddleware, get_session
from openclaw_middleware.testing import login

SPA = Path(__file__).parent / "spa"
STRICT = {"Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'"}

# The keys want a sign-in of the last ten minutes, and somebody at the page.
WANTED: dict[str, Any] = {
    "enable_heartbeat": True,
    "policies": {"strict": Policy(idle_timeout=300, absolute_timeout=600)},
    "policy_paths": {"/keys": "strict"},
}


async def shell(request: Request) -> Response:
    """The same page for every address of it; it leaves the session alone."""
    return FileResponse(SPA / "index.html", headers=STRICT)


async def part(request: Request) -> Response:
    """What the page is made of."""
    return FileResponse(SPA / request.url.path.lstrip("/"), headers=STRICT)


async def me(request: Request) -> Response:
    """Who is signed in."""
    return JSONResponse({"user": get_session(request).user_id})


async def sign_in(request: Request) -> Response:
    """Check the password first."""
    form = await request.json()
    if not secrets.compare_digest(form["password"].encode(), b"open sesame"):
        return JSONResponse({"error": "wrong name or password"}, status_code=403)
    get_session(request).login(form["name"])
    return JSONResponse({"user": form["name"]})


async def note(request: Request) -> Response:
    """A note that lives in the session."""
    session = get_session(request)
    if session.user_id is None:
        return JSONResponse({"error": "not signed in"}, status_code=401)
    if request.method == "PUT":
        session["note"] = (await request.json())["text"]
    return JSONResponse({"text": session.get("note", "")})


async def keys(request: Request) -> Response:
    """Lies in the area: reading the session here is what asks for a fresh sign-in."""
    user = get_session(request).user_id
    if user is None:
        return JSONResponse({"error": "not signed in"}, status_code=401)
    return JSONResponse([f"house of {user}", "bicycle"])


def create_app(settings: SessionSettings | None = None) -> Starlette:
    """The application; without settings, those of the environment (OPENCLAW_SESSION__...)."""
    sessions = settings or SessionSettings.load(**WANTED)
    return Starlette(
        routes=[
            Route("/", shell),
            Route("/keys", shell),
            Route("/app.js", part),
            Route("/app.css", part),
            Route("/me", me),
            Route("/sign-in", sign_in, methods=["POST"]),
            Route("/note", note, methods=["GET", "PUT"]),
            Route("/keys/list", keys),
        ],
        middleware=[Middleware(SessionMiddleware, sessions=sessions)],
    )


def test_the_note_is_kept() -> None:
    """And the page finds the script it imports."""
    client = TestClient(create_app(SessionSettings.for_tests(**WANTED)))
    assert client.get("/note").status_code == 401
    client.post("/sign-in", json={"name": "ada", "password": "open sesame"})
    client.put("/note", json={"text": "milk"})
    assert client.get("/note").json() == {"text": "milk"}
    assert "/app.js" in client.get("/keys").text
    assert "/_session/client.js" in client.get("/app.js").text
    assert "SessionKeeper" in client.get("/_session/client.js").text


def test_the_keys_have_shorter_limits() -> None:
    """`path` is what the keeper tells of the page."""
    client = TestClient(create_app(SessionSettings.for_tests(**WANTED)))
    login(client, "ada")
    assert client.get("/keys/list").json() == ["house of ada", "bicycle"]
    assert client.get("/_session/status").json()["idle_left"] > 1700
    assert client.get("/_session/status?path=/keys").json()["idle_left"] <= 300
