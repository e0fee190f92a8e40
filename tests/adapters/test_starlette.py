"""Starlette on top of the middleware, through Starlette's own test client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.sessions import SessionMiddleware as Stock
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.templating import Jinja2Templates
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from openclaw_middleware import (
    AsyncSessionManager,
    ConfigurationError,
    ReauthenticationRequired,
    ResponseStarted,
    SessionManager,
    SessionSettings,
    StoreUnavailable,
)
from openclaw_middleware.adapters.starlette import SessionMiddleware, get_manager, get_session
from openclaw_middleware.stores.memory import AsyncMemoryStore
from openclaw_middleware.testing import Clock, Counting, Fault, wrap
from openclaw_middleware.testing.clients import login, session_of, set_clock

Handler = Callable[[Request], Awaitable[Response]]
KEY = "0123456789abcdef0123456789ABCDEF"


def settings_for(**settings: Any) -> SessionSettings:
    return SessionSettings.for_tests(**settings)


def client_of(
    *routes: BaseRoute,
    sessions: Any = None,
    middleware: tuple[Middleware, ...] = (),
    raising: bool = True,
    **options: Any,
) -> TestClient:
    """A client of an application with these routes behind our middleware."""
    ours = Middleware(SessionMiddleware, sessions=sessions or settings_for())
    app = Starlette(routes=list(routes), middleware=[ours, *middleware], **options)
    return TestClient(app, raise_server_exceptions=raising)


async def count(request: Request) -> Response:
    request.session["n"] = request.session.get("n", 0) + 1
    return JSONResponse(request.session["n"])


async def show(request: Request) -> Response:
    return JSONResponse(dict(request.session))


async def plain(request: Request) -> Response:
    return PlainTextResponse("ok")


async def enter(request: Request) -> Response:
    get_session(request).login(request.query_params["user"])
    return PlainTextResponse("in")


async def leave(request: Request) -> Response:
    get_session(request).logout()
    return PlainTextResponse("out")


async def who(request: Request) -> Response:
    return JSONResponse(get_session(request).user_id)


SCENARIO = (
    Route("/plain", plain),
    Route("/count", count),
    Route("/show", show),
    Route("/in", enter),
    Route("/out", leave),
    Route("/who", who),
)


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "memory":
        return "memory://"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'sessions.db'}"
    url: str = request.getfixturevalue("fresh_redis_url")
    return url


class TestScenario:
    """The ordinary life of a session, on every store with an asyncio client."""

    @pytest.mark.parametrize("entered", [True, False], ids=["with", "without"])
    def test_a_visitor_signs_in_works_and_signs_out(self, store_url: str, entered: bool) -> None:
        """Without `with`, the test client opens an event loop for each request."""
        client = client_of(*SCENARIO, sessions=settings_for(store=store_url))
        if entered:
            with client:
                self.live(client)
        else:
            self.live(client)

    def live(self, client: TestClient) -> None:
        untouched = client.get("/plain")
        assert "set-cookie" not in untouched.headers
        assert "vary" not in untouched.headers
        assert client.get("/who").headers["vary"] == "Cookie"
        assert client.get("/count").json() == 1
        first = client.cookies["session"]

        assert client.get("/in?user=7").headers["set-cookie"].startswith("session=")
        assert client.cookies["session"] != first
        assert client.get("/count").json() == 2
        assert "set-cookie" not in client.get("/count").headers
        assert client.get("/show").json() == {"n": 3}
        assert client.get("/who").json() == "7"

        signed_in = client.cookies["session"]
        assert "Max-Age=0" in client.get("/out").headers["set-cookie"]
        assert "session" not in client.cookies
        client.cookies.set("session", signed_in)
        assert client.get("/who").json() is None
        assert client.get("/show").json() == {}

    def test_helpers_for_app_authors(self, store_url: str) -> None:
        client = client_of(*SCENARIO, sessions=settings_for(store=store_url))
        login(client, 7, n=41)
        assert client.get("/count").json() == 42
        assert session_of(client).to_dict() == {"n": 42}
        assert session_of(client).user_id == "7"

    def test_round_trips(self, store_url: str) -> None:
        """The budget of a request, in calls of the store."""
        settings = settings_for(store=store_url)
        manager = AsyncSessionManager(settings)
        trips = Counting()
        manager.runtime.asynchronous.store = wrap(manager.store, trips)
        client = client_of(*SCENARIO, sessions=manager)

        def took(path: str) -> list[str]:
            trips.reset()
            client.get(path)
            return sorted(trips.trips.elements())

        assert took("/plain") == []
        assert took("/who") == []
        client.cookies.set("session", "forged")
        assert took("/who") == []
        client.cookies.clear()
        assert len(took("/in?user=7")) <= 2
        assert took("/plain") == ["load"]
        assert took("/who") == ["load"]
        assert took("/count") == ["load", "save"]
        assert took("/out") == ["end", "load"]


class TestKeywords:
    """Starlette's own keywords, translated or refused."""

    def cookie(self, **keywords: Any) -> str:
        app = Starlette(routes=[*SCENARIO])
        app.add_middleware(SessionMiddleware, secret_key=KEY, store="memory://", **keywords)
        client = TestClient(app, base_url="https://testserver")
        return client.get("/count").headers["set-cookie"].partition("; ")[2]

    @pytest.mark.parametrize(
        ("keywords", "attributes"),
        [
            ({}, "HttpOnly; Path=/; SameSite=Lax; Secure"),
            ({"https_only": True}, "HttpOnly; Path=/; SameSite=Lax; Secure"),
            ({"https_only": False}, "HttpOnly; Path=/; SameSite=Lax"),
            ({"same_site": "none"}, "HttpOnly; Path=/; SameSite=None; Secure"),
            ({"path": "/shop"}, "HttpOnly; Path=/shop; SameSite=Lax; Secure"),
            (
                {"domain": "example.com", "session_cookie": "s"},
                "HttpOnly; Path=/; SameSite=Lax; Domain=example.com; Secure",
            ),
            ({"partitioned": True}, "HttpOnly; Path=/; SameSite=Lax; Secure; Partitioned"),
            ({"max_age": None}, "HttpOnly; Path=/; SameSite=Lax; Secure"),
        ],
    )
    def test_attributes(self, keywords: dict[str, Any], attributes: str) -> None:
        assert self.cookie(**keywords) == attributes

    def test_every_keyword_of_starlette_is_known(self) -> None:
        """A new one upstream shows up here first."""
        import inspect

        theirs = set(inspect.signature(Stock.__init__).parameters)
        assert theirs <= set(inspect.signature(SessionMiddleware.__init__).parameters)

    def test_max_age_is_the_lifetime_and_the_cookie_outlives_the_browser(self) -> None:
        app = Starlette(routes=[*SCENARIO])
        app.add_middleware(SessionMiddleware, secret_key=KEY, store="memory://", max_age=600)
        client = TestClient(app, base_url="https://testserver")
        header = client.get("/in?user=7").headers["set-cookie"]
        info = session_of(client).info
        assert "; Max-Age=600; " in header or "; Max-Age=599; " in header
        assert info.absolute_left == pytest.approx(600, abs=5)
        assert info.idle_left == pytest.approx(600, abs=5)

    def test_default_limits_without_max_age(self) -> None:
        app = Starlette(routes=[*SCENARIO])
        app.add_middleware(SessionMiddleware, secret_key=KEY, store="memory://")
        client = TestClient(app, base_url="https://testserver")
        client.get("/in?user=7")
        info = session_of(client).info
        assert info.idle_left == pytest.approx(1800, abs=5)
        assert info.absolute_left == pytest.approx(28800, abs=5)

    @pytest.mark.parametrize(
        ("keywords", "mend"),
        [
            ({}, "secret_key: is required"),
            ({"secret_key": KEY}, "add store='sqlite:///sessions.db'"),
            ({"secret_key": "secret", "store": "memory://"}, "openclaw-middleware new-key"),
            ({"secret_key": KEY, "store": "memory://", "max_age": 0}, "from 1 to 34560000"),
            ({"secret_key": KEY, "store": "memory://", "max_age": True}, "from 1 to 34560000"),
            ({"secret_key": KEY, "store": "memory://", "max_age": 34560001}, "400 days"),
            (
                {
                    "secret_key": KEY,
                    "store": "memory://",
                    "same_site": "none",
                    "https_only": False,
                },
                "cookie_samesite none needs cookie_secure",
            ),
            ({"sessions": settings_for(), "max_age": 600}, "max_age cannot be given beside"),
            ({"sessions": KEY}, "write secret_key="),
        ],
    )
    def test_refused_with_the_mend(self, keywords: dict[str, Any], mend: str) -> None:
        with pytest.raises(ConfigurationError, match=mend.replace("(", r"\(")):
            SessionMiddleware(Starlette(), **keywords)

    def test_the_store_may_come_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Then only an import changes in an application that used Starlette's middleware."""
        monkeypatch.setenv("OPENCLAW_SESSION__STORE", "memory://")
        app = Starlette(routes=[*SCENARIO])
        app.add_middleware(SessionMiddleware, secret_key=KEY)
        assert TestClient(app, base_url="https://testserver").get("/count").json() == 1

    def test_a_cookie_of_starlettes_own_middleware_is_nothing_to_us(self) -> None:
        """The day of the change: old cookies are ignored, and nobody sees an error."""
        stock = Starlette(routes=[*SCENARIO], middleware=[Middleware(Stock, secret_key=KEY)])
        before = TestClient(stock)
        assert before.get("/count").json() == 1
        app = Starlette(routes=[*SCENARIO])
        app.add_middleware(SessionMiddleware, secret_key=KEY, store="memory://", https_only=False)
        after = TestClient(app)
        after.cookies.set("session", before.cookies["session"])
        assert after.get("/show").json() == {}

    def test_a_secure_cookie_stays_away_from_plain_http(self) -> None:
        """Why app authors test with `for_tests()` or an https base URL."""
        client = client_of(*SCENARIO, sessions=SessionSettings(secret_key=KEY, store="memory://"))
        assert client.get("/count").headers["set-cookie"].startswith("__Host-session=")
        assert client.get("/count").json() == 1

    @pytest.mark.parametrize(
        ("base", "said"),
        [
            ("http://testserver", True),
            ("http://10.0.0.9:8000", True),
            ("https://10.0.0.9:8000", False),
            ("http://localhost:8000", False),
            ("http://app.localhost", False),
            ("http://127.0.0.1", False),
            ("http://[::1]:8000", False),
        ],
    )
    def test_a_secure_cookie_over_plain_http_is_said_once(
        self, base: str, said: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Else a developer only sees that nobody stays signed in."""
        sessions = SessionSettings(secret_key=KEY, store="memory://")
        client = client_of(*SCENARIO, sessions=sessions)
        client.base_url = base
        client.get("/plain")
        assert caplog.text == ""
        for _ in range(2):
            client.get("/in?user=7")
        assert caplog.text.count("over plain http") == said

    def test_no_word_about_a_cookie_that_is_meant_for_plain_http(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        client_of(*SCENARIO).get("/count")
        assert caplog.text == ""


class TestStacks:
    """Other middlewares and mounted applications around and inside."""

    def test_the_same_sessions_twice_are_one(self) -> None:
        trips = Counting()
        manager = _with(trips)
        again = Middleware(SessionMiddleware, sessions=manager.settings)
        client = client_of(*SCENARIO, sessions=manager, middleware=(again,))
        answer = client.get("/count")
        assert len(answer.headers.get_list("set-cookie")) == 1
        assert client.get("/count").json() == 2
        trips.reset()
        assert client.get("/count").json() == 3
        assert sorted(trips.trips.elements()) == ["load", "save"]

    def test_two_deployments_on_one_cookie_are_refused(self) -> None:
        other = Middleware(SessionMiddleware, sessions=settings_for())
        client = client_of(*SCENARIO, middleware=(other,))
        with pytest.raises(ConfigurationError, match="use the cookie 'session'"):
            client.get("/plain")

    def test_a_mounted_application_with_a_cookie_of_its_own(self) -> None:
        inner = Starlette(routes=[*SCENARIO])
        inner.add_middleware(SessionMiddleware, sessions=settings_for(cookie_name="admin"))
        seen: list[int | None] = []

        async def outside(request: Request, call_next: RequestResponseEndpoint) -> Response:
            response = await call_next(request)
            seen.append(request.session.get("n"))
            return response

        watching = Middleware(BaseHTTPMiddleware, dispatch=outside)
        client = client_of(*SCENARIO, Mount("/admin", inner), middleware=(watching,))
        assert client.get("/count").json() == 1
        assert client.get("/count").json() == 2
        assert client.get("/admin/count").json() == 1
        assert set(client.cookies) == {"session", "admin"}
        assert seen == [1, 2, 2]

    @pytest.mark.parametrize("stock_first", [True, False])
    def test_starlettes_own_beside_ours(self, stock_first: bool) -> None:
        """Outside it is refused; inside it takes over `request.session`, and we say so."""
        stock = Middleware(Stock, secret_key=KEY)
        ours = Middleware(SessionMiddleware, sessions=settings_for())
        both = [stock, ours] if stock_first else [ours, stock]
        client = TestClient(Starlette(routes=[*SCENARIO], middleware=both))
        with pytest.raises(ConfigurationError, match="another session middleware"):
            client.get("/who")

    def test_base_http_middleware_inside_and_around(self) -> None:
        async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Response:
            request.session["path"] = request.url.path
            return await call_next(request)

        client = client_of(
            *SCENARIO, middleware=(Middleware(BaseHTTPMiddleware, dispatch=dispatch),)
        )
        client.get("/plain")
        assert session_of(client).to_dict() == {"path": "/plain"}

        async def after(request: Request, call_next: RequestResponseEndpoint) -> Response:
            response = await call_next(request)
            with pytest.raises(ResponseStarted):
                request.session["late"] = 1
            return response

        app = Starlette(
            routes=[*SCENARIO],
            middleware=[
                Middleware(BaseHTTPMiddleware, dispatch=after),
                Middleware(SessionMiddleware, sessions=settings_for()),
            ],
        )
        assert TestClient(app).get("/plain").text == "ok"

    def test_a_mounted_application_shares_the_session(self) -> None:
        client = client_of(*SCENARIO, Mount("/sub", Starlette(routes=[*SCENARIO])))
        assert client.get("/count").json() == 1
        assert client.get("/sub/count").json() == 2

    def test_skip_paths_have_no_session(self) -> None:
        client = client_of(*SCENARIO, sessions=settings_for(skip_paths=["/who"]))
        assert client.get("/count").json() == 1
        with pytest.raises(ConfigurationError, match="skip_paths"):
            client.get("/who")

    def test_without_the_middleware_the_message_names_it(self) -> None:
        client = TestClient(Starlette(routes=[*SCENARIO]))
        with pytest.raises(ConfigurationError, match="add SessionMiddleware"):
            client.get("/who")

    def test_lifespan_passes_through(self) -> None:
        seen: list[str] = []

        async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
            seen.append("up")
            yield {"said": "hello"}
            seen.append("down")

        async def state(request: Request) -> Response:
            return PlainTextResponse(request.state.said)

        import contextlib

        client = client_of(
            Route("/state", state), lifespan=contextlib.asynccontextmanager(lifespan)
        )
        with client:
            assert client.get("/state").text == "hello"
        assert seen == ["up", "down"]


class TestAccess:
    """What an application holds."""

    def test_session_and_manager_from_request_or_scope(self) -> None:
        async def look(request: Request) -> Response:
            session = get_session(request)
            assert session is get_session(request.scope)
            assert session is request.session
            session.login(7)
            await session.asave()
            page = await get_manager(request).sessions_of(7)
            mine = await get_manager(request.scope).get(session.id)
            return JSONResponse([[info.id for info in page.items], mine and mine.user_id])

        client = client_of(Route("/", look))
        ids, user = client.get("/").json()
        assert ids == [session_of(client).id]
        assert user == "7"

    def test_a_manager_shares_the_store_with_the_middleware(self) -> None:
        """Also from outside of any request, in the other colour."""
        manager = SessionManager(settings_for())
        client = client_of(*SCENARIO, sessions=manager)
        client.get("/in?user=7")
        assert manager.revoke_user(7) == 1
        assert client.get("/who").json() is None

    def test_def_endpoints_run_in_threads(self) -> None:
        def in_thread(request: Request) -> Response:
            request.session["n"] = request.session.get("n", 0) + 1
            code = anyio.from_thread.run(get_session(request).atake, "code")
            return JSONResponse([request.session["n"], code])

        client = client_of(Route("/", in_thread))
        login(client, 7, code="once")
        assert client.get("/").json() == [1, "once"]
        assert client.get("/").json() == [2, None]

    def test_marks_of_starlette(self) -> None:
        """`mark_accessed` counts; `mark_modified` is harmless, since changes are found."""

        async def marked(request: Request) -> Response:
            session = get_session(request)
            assert not session.accessed
            request.session.mark_modified()  # type: ignore[attr-defined]
            assert session.accessed
            assert not session.modified
            session.setdefault("cart", []).append(1)
            assert session.modified
            return PlainTextResponse("ok")

        client = client_of(Route("/", marked))
        assert client.get("/").headers["vary"] == "Cookie"
        assert session_of(client).to_dict() == {"cart": [1]}

    def test_lazy_loading(self) -> None:
        async def look(request: Request) -> Response:
            session = get_session(request)
            await session.aload()
            return JSONResponse(session.to_dict())

        trips = Counting()
        manager = _with(trips)
        lazy = Middleware(SessionMiddleware, sessions=manager, load="lazy")
        app = Starlette(routes=[Route("/look", look), Route("/plain", plain)], middleware=[lazy])
        client = TestClient(app)
        login(client, 7, n=1)
        client.get("/plain")
        assert trips.total == 0
        assert client.get("/look").json() == {"n": 1}
        assert trips.total == 1

    def test_templates(self, tmp_path: Path) -> None:
        """Jinja finds attributes before keys: a dot is for keys no attribute shadows."""
        source = (
            "{{ request.session.theme }}|{{ request.session['user_id'] }}|"
            "{{ request.session.user_id }}|{{ 'theme' in request.session }}|"
            "{{ request.session.missing }}"
        )
        (tmp_path / "page.html").write_text(source)
        templates = Jinja2Templates(tmp_path)

        async def page(request: Request) -> Response:
            return templates.TemplateResponse(request, "page.html")

        client = client_of(Route("/", page))
        login(client, 7, theme="dark", user_id="a key")
        assert client.get("/").text == "dark|a key|7|True|"

    def test_identity_key_makes_both_the_same(self, tmp_path: Path) -> None:
        """Applications that keep `session["user_id"]` themselves get a sign-in for it."""
        (tmp_path / "page.html").write_text("{{ request.session.user_id }}")
        templates = Jinja2Templates(tmp_path)

        async def sign_in(request: Request) -> Response:
            request.session["user_id"] = "7"
            return templates.TemplateResponse(request, "page.html")

        async def sign_out(request: Request) -> Response:
            del request.session["user_id"]
            return PlainTextResponse("bye")

        client = client_of(
            Route("/in", sign_in),
            Route("/out", sign_out),
            *SCENARIO,
            sessions=settings_for(identity_key="user_id"),
        )
        client.get("/count")
        before = client.cookies["session"]
        assert client.get("/in").text == "7"
        assert client.cookies["session"] != before
        assert client.get("/who").json() == "7"
        client.get("/out")
        assert client.get("/who").json() is None


class TestEndOfResponse:
    """Streams, background tasks, errors."""

    def test_a_stream_of_a_stored_session_is_saved_at_its_end(self) -> None:
        async def stream(request: Request) -> Response:
            session = get_session(request)

            async def lines() -> AsyncIterator[str]:
                yield "first"
                session["seen"] = session.get("seen", 0) + 1
                yield "last"

            return StreamingResponse(lines())

        client = client_of(Route("/", stream))
        login(client, 7)
        assert client.get("/").text == "firstlast"
        assert session_of(client)["seen"] == 1

    def test_a_stream_cannot_begin_a_session(self) -> None:
        """Its cookie would have had to leave with the headers."""

        async def stream(request: Request) -> Response:
            session = get_session(request)

            async def lines() -> AsyncIterator[str]:
                yield "first"
                with pytest.raises(ResponseStarted):
                    session["seen"] = 1
                with pytest.raises(ResponseStarted):
                    session.login(7)
                yield "last"

            return StreamingResponse(lines())

        client = client_of(Route("/", stream))
        assert client.get("/").text == "firstlast"
        assert "session" not in client.cookies

    def test_a_background_task_writes_and_logs_out(self) -> None:
        async def later(session: Any, verb: str) -> None:
            if verb == "write":
                session["report"] = "done"
            elif verb == "save":
                session["report"] = "saved"
                await session.asave()
            else:
                session.logout()

        async def start(request: Request) -> Response:
            task = BackgroundTask(later, get_session(request), request.query_params["verb"])
            return PlainTextResponse("started", background=task)

        client = client_of(Route("/", start), *SCENARIO)
        login(client, 7)
        client.get("/?verb=write")
        assert session_of(client)["report"] == "done"
        client.get("/?verb=save")
        assert session_of(client)["report"] == "saved"
        client.get("/?verb=out")
        assert client.get("/who").json() is None

    @pytest.mark.parametrize("kind", ["raise", "status"])
    def test_a_failed_request_keeps_its_logout_and_nothing_else(self, kind: str) -> None:
        async def fail(request: Request) -> Response:
            session = get_session(request)
            if "out" in request.query_params:
                session.logout()
            session["half"] = "done"
            if kind == "raise":
                raise ValueError("broken")
            return PlainTextResponse("broken", 500)

        client = client_of(Route("/", fail), *SCENARIO, raising=False)
        login(client, 7, whole=1)
        assert client.get("/").status_code == 500
        assert session_of(client).to_dict() == {"whole": 1}
        assert client.get("/?out=1").status_code == 500
        assert client.get("/who").json() is None

    def test_an_http_exception_is_an_answer_like_any_other(self) -> None:
        async def refuse(request: Request) -> Response:
            request.session["tries"] = request.session.get("tries", 0) + 1
            raise HTTPException(403)

        client = client_of(Route("/", refuse))
        assert client.get("/").status_code == 403
        client.get("/")
        assert session_of(client)["tries"] == 2

    def test_a_handled_exception_commits(self) -> None:
        async def fail(request: Request) -> Response:
            request.session["tried"] = True
            raise LookupError

        async def handler(request: Request, error: Exception) -> Response:
            return PlainTextResponse("not found", 404)

        client = client_of(Route("/", fail), exception_handlers={LookupError: handler})
        assert client.get("/").status_code == 404
        assert session_of(client).to_dict() == {"tried": True}

    def test_a_demanded_sign_in_is_the_applications_to_answer(self) -> None:
        async def delicate(request: Request) -> Response:
            get_session(request).require_recent(300)
            return PlainTextResponse("done")

        async def again(request: Request, error: Exception) -> Response:
            return PlainTextResponse("sign in again", 401)

        clock = Clock()
        settings = settings_for()
        set_clock(settings, clock)
        client = client_of(
            Route("/", delicate),
            sessions=settings,
            exception_handlers={ReauthenticationRequired: again},
        )
        assert client.get("/").status_code == 401
        login(client, 7)
        assert client.get("/").text == "done"
        clock.advance(301)
        assert client.get("/").status_code == 401


class Broken(Fault):
    """Fails the named verbs while it is on."""

    def __init__(self, *operations: str) -> None:
        self.operations = operations
        self.on = True

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        if self.on and operation in self.operations:
            raise StoreUnavailable(f"{operation} failed", store="test", operation=operation)
        answer = yield call()
        return answer


def _with(fault: Fault, **settings: Any) -> SessionManager:
    manager = SessionManager(settings_for(**settings))
    assert manager.store  # opened first: both colours share one memory
    driver = manager.runtime.asynchronous
    driver.store = wrap(driver.store, fault)
    return manager


class TestOutage:
    """The store is away: 503 and the cookie stays; public pages do not notice."""

    def test_reading(self) -> None:
        fault = Broken("load")
        client = client_of(*SCENARIO, sessions=_with(fault))
        login(client, 7)
        assert client.get("/plain").text == "ok"
        answer = client.get("/who")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert "set-cookie" not in answer.headers
        fault.on = False
        assert client.get("/who").json() == "7"

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("inside", [False, True], ids=["bare", "BaseHTTPMiddleware"])
    def test_writing_replaces_the_whole_response(self, inside: bool, stream: bool) -> None:
        """Also through the wrappings that other middlewares put around an error in `send`."""

        async def write(request: Request) -> Response:
            request.session["n"] = 1
            if stream:
                return StreamingResponse(iter(["all", "is", "well"]), headers={"x-app": "1"})
            return PlainTextResponse("all is well", headers={"x-app": "1"})

        async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Response:
            return await call_next(request)

        async def handler(request: Request, error: Exception) -> Response:
            return PlainTextResponse("handled", 400)

        stack = (Middleware(BaseHTTPMiddleware, dispatch=dispatch),) if inside else ()
        client = client_of(
            Route("/", write),
            sessions=_with(Broken("create")),
            middleware=stack,
            exception_handlers={StoreUnavailable: handler},
        )
        answer = client.get("/")
        assert answer.status_code == 503
        assert "well" not in answer.text
        assert "x-app" not in answer.headers
        assert "set-cookie" not in answer.headers

    def test_a_logout_that_failed_clears_the_browser_all_the_same(self) -> None:
        client = client_of(*SCENARIO, sessions=_with(Broken("load")))
        login(client, 7)
        answer = client.get("/out")
        assert answer.status_code == 503
        assert "Max-Age=0" in answer.headers["set-cookie"]

    def test_a_refused_login_is_a_409(self) -> None:
        settings = settings_for(max_sessions_per_user=1, on_limit="reject")
        client = client_of(*SCENARIO, sessions=settings)
        client.get("/in?user=7")
        client.cookies.clear()
        answer = client.get("/in?user=7")
        assert answer.status_code == 409
        assert "set-cookie" not in answer.headers


class TestWebSocket:
    """Cookies can leave with the handshake only."""

    @pytest.fixture
    def client(self) -> TestClient:
        async def talk(websocket: WebSocket) -> None:
            session = get_session(websocket)
            before = websocket.query_params.get("before")
            if before == "login":
                session.login(7)
            elif before:
                session["before"] = before
            if websocket.query_params.get("deny"):
                await websocket.close()
                return
            await websocket.accept()
            try:
                while True:
                    match await websocket.receive_json():
                        case ["set", key, value]:
                            try:
                                websocket.session[key] = value
                                await websocket.send_json("set")
                            except ResponseStarted:
                                await websocket.send_json("too late")
                        case ["get", key]:
                            await websocket.send_json(websocket.session.get(key))
                        case ["save"]:
                            await session.asave()
                            await websocket.send_json("saved")
                        case ["login"]:
                            try:
                                session.login(8)
                            except ResponseStarted:
                                await websocket.send_json("too late")
                        case ["fail"]:
                            raise LookupError("broken")
            except WebSocketDisconnect:
                pass

        self.trips = Counting()
        self.manager = _with(self.trips)
        return client_of(WebSocketRoute("/ws", talk), *SCENARIO, sessions=self.manager)

    def test_a_session_begun_before_accept_gets_its_cookie(self, client: TestClient) -> None:
        with client.websocket_connect("/ws?before=yes") as socket:
            headers = dict(socket.extra_headers)
        assert headers[b"set-cookie"].startswith(b"session=")
        assert headers[b"vary"] == b"Cookie"

    def test_a_sign_in_before_accept(self, client: TestClient) -> None:
        with client.websocket_connect("/ws?before=login") as socket:
            cookie = dict(socket.extra_headers)[b"set-cookie"].decode()
        client.cookies.set("session", cookie.partition(";")[0].partition("=")[2])
        assert client.get("/who").json() == "7"

    def test_changes_are_saved_at_the_end(self, client: TestClient) -> None:
        login(client, 7, n=1)
        with client.websocket_connect("/ws") as socket:
            socket.send_json(["set", "n", 2])
            assert socket.receive_json() == "set"
            assert session_of(client)["n"] == 1
        assert session_of(client)["n"] == 2

    def test_changes_are_saved_on_request(self, client: TestClient) -> None:
        login(client, 7, n=1)
        with client.websocket_connect("/ws") as socket:
            socket.send_json(["set", "n", 2])
            socket.receive_json()
            socket.send_json(["save"])
            assert socket.receive_json() == "saved"
            assert session_of(client)["n"] == 2

    def test_messages_cost_no_trip(self, client: TestClient) -> None:
        login(client, 7, n=1)
        with client.websocket_connect("/ws") as socket:
            socket.send_json(["get", "n"])
            assert socket.receive_json() == 1
            at_start = self.trips.total
            for _ in range(5):
                socket.send_json(["get", "n"])
                socket.receive_json()
            assert self.trips.total == at_start == 1

    def test_what_needs_a_cookie_is_refused_after_accept(self, client: TestClient) -> None:
        with client.websocket_connect("/ws") as socket:
            socket.send_json(["set", "n", 2])
            assert socket.receive_json() == "too late"
            socket.send_json(["login"])
            assert socket.receive_json() == "too late"

    def test_a_socket_that_fails_drops_its_changes(self, client: TestClient) -> None:
        login(client, 7, n=1)

        def talk() -> None:
            with client.websocket_connect("/ws") as socket:
                socket.send_json(["set", "n", 2])
                assert socket.receive_json() == "set"
                socket.send_json(["fail"])
                socket.receive_json()

        with pytest.raises(LookupError):
            talk()
        assert session_of(client)["n"] == 1

    @pytest.mark.parametrize("before", ["yes", "login"])
    def test_a_denied_handshake_leaves_no_session(self, client: TestClient, before: str) -> None:
        """No cookie can leave with it, so a record would lie there for nobody."""
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect(f"/ws?before={before}&deny=1"),
        ):
            pass
        assert set(self.trips.trips) <= {"now"}

    def test_a_denied_handshake_of_a_stored_session_keeps_what_it_wrote(
        self, client: TestClient
    ) -> None:
        login(client, 7)
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws?before=x&deny=1"):
            pass
        assert session_of(client)["before"] == "x"

    def test_secrets_are_not_rotated_on_a_handshake(self) -> None:
        """Browsers are known to drop cookies of a handshake."""

        async def talk(websocket: WebSocket) -> None:
            assert websocket.session["n"] == 1
            await websocket.accept()
            await websocket.close()

        clock = Clock()
        settings = settings_for(rotation_interval=60)
        set_clock(settings, clock)
        client = client_of(WebSocketRoute("/ws", talk), *SCENARIO, sessions=settings)
        login(client, 7, n=1)
        clock.advance(61)
        with client.websocket_connect("/ws") as socket:
            assert b"set-cookie" not in dict(socket.extra_headers or ())
        assert "set-cookie" in client.get("/who").headers

    def test_outage_closes_the_handshake(self) -> None:
        async def talk(websocket: WebSocket) -> None:
            websocket.session["n"] = 1
            await websocket.accept()

        client = client_of(WebSocketRoute("/ws", talk), sessions=_with(Broken("load", "save")))
        login(client, 7)
        with pytest.raises(WebSocketDisconnect) as caught, client.websocket_connect("/ws"):
            pass
        assert caught.value.code == 1013


def test_concurrent_requests_on_one_session_lose_nothing() -> None:
    """A hundred increments and a hundred appends through one cookie, in one loop."""

    async def add(connection: HTTPConnection) -> None:
        session = get_session(connection)
        session.apply("n", lambda n: n + 1, default=0)
        session.setdefault("list", []).append(connection.query_params["i"])

    async def endpoint(request: Request) -> Response:
        await add(request)
        return PlainTextResponse("ok")

    client = client_of(Route("/", endpoint))
    login(client, 7)
    cookie = f"session={client.cookies['session']}".encode()
    app = client.app

    async def one(i: int) -> int:
        statuses: list[int] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "raw_path": b"/",
            "query_string": f"i={i}".encode(),
            "headers": [(b"cookie", cookie)],
            "client": ("127.0.0.1", 1),
            "server": ("testserver", 80),
            "scheme": "http",
            "root_path": "",
            "http_version": "1.1",
        }
        await app(scope, receive, send)
        return statuses[0]

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*(one(i) for i in range(100)))

    assert set(asyncio.run(all_of_them())) == {200}
    session = session_of(client)
    assert session["n"] == 100
    assert sorted(map(int, session["list"])) == list(range(100))


def test_memory_store_is_used() -> None:
    """The scenario on "memory" would prove little on another store."""
    assert isinstance(AsyncSessionManager(settings_for()).store, AsyncMemoryStore)
