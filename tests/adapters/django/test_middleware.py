"""What the middleware does to requests and responses, and that Django's settings decide it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, override_settings

from openclaw_middleware import ConfigurationError, SessionStateError, StoreUnavailable
from openclaw_middleware.adapters.django import conf, get_manager, get_session
from openclaw_middleware.adapters.django import response as response_module
from openclaw_middleware.adapters.django.deployment import Deployment
from openclaw_middleware.core.events import ChangesDropped
from openclaw_middleware.stores.memory import AsyncMemoryStore, MemoryState, MemoryStore
from openclaw_middleware.testing import Clock, Counting, Fault, wrap
from tests.fresh import namespace as new_namespace

from .project import aviews, views

pytestmark = pytest.mark.usefixtures("deployment", "test_database")
KEY = settings.SECRET_KEY


def run(task: Callable[[Any], Any], client: Any = None) -> Any:
    views.task = task
    return (client or Client()).get("/run")


def test_an_untouched_session_leaves_no_trace() -> None:
    client = Client()
    client.get("/write", {"a": "1"})
    for visitor in (client, Client()):
        response = visitor.get("/public")
        assert not response.cookies
        assert "Vary" not in response
        assert "Cache-Control" not in response


def test_the_cookie_is_as_django_says() -> None:
    with override_settings(
        SESSION_COOKIE_NAME="sid",
        SESSION_COOKIE_PATH="/write",
        SESSION_COOKIE_DOMAIN=".example.com",
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_SECURE=False,
        OPENCLAW={"STORE": "memory://"},
    ):
        conf._current = None
        morsel = Client().get("/write", {"a": "1"}).cookies["sid"]
    assert morsel["path"] == "/write"
    assert morsel["domain"] == "example.com"
    assert morsel["samesite"] == "Strict"
    assert not morsel["secure"]
    assert morsel["httponly"]
    assert morsel["max-age"] == ""


def test_the_cookie_is_secure_unless_the_project_says_otherwise() -> None:
    morsel = Client().get("/write", {"a": "1"}).cookies["sessionid"]
    assert morsel["secure"]
    assert "; Secure" in morsel.output()
    assert pickle.loads(pickle.dumps(morsel)).output() == morsel.output()  # noqa: S301


def lifetimes(**given: Any) -> tuple[float | None, float, bool]:
    with override_settings(OPENCLAW={"STORE": "memory://"}, **given):
        made = conf.load_settings()
        return made.idle_timeout, made.absolute_timeout, conf.persistent()


def test_lifetimes_follow_django_where_the_project_says_so() -> None:
    assert lifetimes() == (1800, 28800, False)
    assert lifetimes(SESSION_COOKIE_AGE=1200) == (None, 1200, True)
    assert lifetimes(SESSION_COOKIE_AGE=1200, SESSION_SAVE_EVERY_REQUEST=True) == (
        1200,
        28800,
        True,
    )
    assert lifetimes(SESSION_COOKIE_AGE=1200, SESSION_EXPIRE_AT_BROWSER_CLOSE=True)[2] is False
    assert lifetimes(SESSION_EXPIRE_AT_BROWSER_CLOSE=False)[2] is True


def test_a_persistent_default_sets_max_age(clock: Clock) -> None:
    with (
        override_settings(SESSION_COOKIE_AGE=1200),
        conf.using(Deployment(conf.load_settings(), persistent=True, clock=clock)),
    ):
        morsel = Client().get("/write", {"a": "1"}).cookies["sessionid"]
    assert morsel["max-age"] == "1200"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"OPENCLAW": {"STOER": "memory://"}}, "STORE"),
        ({"OPENCLAW": {"COOKIE_NAME": "x"}}, "SESSION_COOKIE_NAME"),
        ({"SESSION_COOKIE_HTTPONLY": False}, "HTTPONLY"),
        ({"SESSION_COOKIE_SAMESITE": False}, "SAMESITE"),
        ({"OPENCLAW": {"STORE": "django:elsewhere"}}, None),
        ({"OPENCLAW": ["no"]}, "dict"),
        ({"SECRET_KEY": "short"}, "32"),
    ],
)
def test_wrong_settings_name_the_mend(wrong: dict[str, Any], message: str | None) -> None:
    with (
        override_settings(**wrong),
        pytest.raises(ConfigurationError, match=message or "DATABASES"),
    ):
        Deployment(conf.load_settings()).blocking  # noqa: B018


def test_the_environment_cannot_move_the_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_SESSION__COOKIE_SECURE", "false")
    with pytest.raises(ConfigurationError, match="SESSION_COOKIE_SECURE"):
        conf.load_settings()


def test_settings_that_come_and_go_keep_the_sessions() -> None:
    with override_settings(OPENCLAW={"STORE": "memory://", "NAMESPACE": new_namespace()}):
        conf._current = None
        first, client = conf.runtime(), Client()
        client.get("/write", {"a": "1"})
        with override_settings(SESSION_COOKIE_AGE=60):
            assert conf.runtime() is not first
            assert client.get("/read").json() == {"a": "1"}
        assert conf.runtime() is first
        assert client.get("/read").json() == {"a": "1"}


def test_a_change_of_the_secret_key_keeps_sessions_by_its_fallback() -> None:
    with override_settings(OPENCLAW={"STORE": "memory://", "NAMESPACE": new_namespace()}):
        conf._current = None
        client = Client()
        client.get("/write", {"a": "1"})
        new = {"SECRET_KEY": "n" * 20 + KEY}
        with override_settings(**new, SECRET_KEY_FALLBACKS=[KEY]):
            assert client.get("/read").json() == {"a": "1"}
        with override_settings(**new):
            assert client.get("/read").json() == {}


def test_skip_paths_have_a_session_that_stores_nothing(clock: Clock) -> None:
    with override_settings(OPENCLAW={"STORE": "memory://", "SKIP_PATHS": ["/run", "/public"]}):
        made = Deployment(conf.load_settings(), clock=clock)

        def task(request: Any) -> str:
            assert request.session.get("a") is None
            assert not request.user.is_authenticated
            with pytest.raises(SessionStateError, match="skip_paths"):
                request.session["a"] = 2
            with pytest.raises(ConfigurationError, match="skip_paths"):
                get_session(request)
            return "skipped"

        with conf.using(made):
            client = Client()
            client.get("/write", {"a": "1"})
            response = run(task, client)
            assert response.content == b"skipped"
            assert not response.cookies
            assert client.get("/read").json() == {"a": "1"}


# -- outages


class Switch(Fault):
    """The store is away while `down`."""

    down = False

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        if self.down:
            raise StoreUnavailable("away", store="test", operation=operation)
        found = yield call()
        return found


@pytest.fixture
def switch(clock: Clock) -> Iterator[Switch]:
    switch, state = Switch(), MemoryState()
    made = Deployment(conf.load_settings(), clock=clock)
    made._open_blocking = lambda: wrap(MemoryStore(made.options, state=state), switch)  # type: ignore[method-assign]
    made._open_asynchronous = lambda: wrap(  # type: ignore[method-assign]
        AsyncMemoryStore(made.options, state=state), switch
    )
    with conf.using(made):
        yield switch


def visits(prefix: str) -> Callable[..., Any]:
    client: Any = AsyncClient() if prefix else Client()
    get = async_to_sync(client.get) if prefix else client.get
    return lambda path, **query: get(f"/{prefix}{path}", query)


@pytest.mark.parametrize("prefix", ["", "a"], ids=["plain", "async"])
def test_an_outage_is_answered_in_place_and_keeps_the_cookie(
    prefix: str, switch: Switch, clock: Clock
) -> None:
    visit = visits(prefix)
    visit("write", a="1")
    switch.down = True
    for path in ("read", "whoami", "write"):
        response = visit(path, a="2")
        assert response.status_code == 503, path
        assert response["Retry-After"] == "5"
        assert not response.cookies
    switch.down = False
    clock.advance(60)
    assert visit("read").json() == {"a": "1"}


@pytest.mark.parametrize("prefix", ["", "a"], ids=["plain", "async"])
def test_an_outage_at_a_logout_clears_the_browser(prefix: str, switch: Switch) -> None:
    visit = visits(prefix)
    visit("write", a="1")
    switch.down = True
    response = visit("logout")
    assert response.status_code == 503
    assert response.cookies["sessionid"]["max-age"] == "0"


def test_public_pages_do_not_notice_an_outage(switch: Switch) -> None:
    client = Client()
    client.get("/write", {"a": "1"})
    switch.down = True
    assert client.get("/public").status_code == 200
    assert Client().get("/read").status_code == 200


def test_an_outage_met_in_another_middleware_is_a_503(switch: Switch) -> None:
    client = Client(raise_request_exception=False)
    with override_settings(CSRF_USE_SESSIONS=True):
        client.get("/write", {"a": "1"})
        switch.down = True
        assert client.get("/public").status_code == 503


def test_a_refused_sign_in_is_a_409(clock: Clock) -> None:
    limits = {"STORE": "memory://", "MAX_SESSIONS_PER_USER": 1, "ON_LIMIT": "reject"}
    limits["NAMESPACE"] = new_namespace()
    with (
        override_settings(OPENCLAW=limits),
        conf.using(Deployment(conf.load_settings(), clock=clock)),
    ):
        assert run(lambda r: r.session.login("7")).status_code == 200
        response = run(lambda r: r.session.login("7"))
        assert response.status_code == 409
        assert not response.cookies


# -- errors and streams


def test_a_server_error_drops_data_and_keeps_a_logout() -> None:
    client = Client(raise_request_exception=False)
    client.get("/write", {"a": "1"})
    client.get("/write", {"a": "2", "status": "500"})
    assert client.get("/read").json()["a"] == "1"

    def crash(request: Any) -> None:
        request.session["a"] = 3
        request.session.flush()
        raise ZeroDivisionError

    assert run(crash, client).status_code == 500
    assert client.get("/read").json() == {}
    assert get_manager().stats().live == 0


def test_late_changes_of_a_stream_are_stored() -> None:
    client = Client()
    client.get("/write", {"a": "1"})

    def task(request: Any) -> Any:
        request.session["a"] = "2"

        def parts() -> Iterator[bytes]:
            yield b"one"
            request.session["late"] = True
            yield b"two"

        return StreamingHttpResponse(parts())

    assert b"".join(run(task, client).streaming_content) == b"onetwo"
    assert client.get("/read").json() == {"a": "2", "late": True}


def test_late_changes_of_an_async_stream_are_stored() -> None:
    client = AsyncClient()

    async def task(request: Any) -> Any:
        await request.session.aset("a", "2")

        async def parts() -> Any:
            yield b"one"
            request.session["late"] = True
            yield b"two"

        return StreamingHttpResponse(parts())

    async def visit() -> None:
        await client.get("/awrite", {"a": "1"})
        aviews.task = task
        response = await client.get("/arun")
        assert [part async for part in response.streaming_content] == [b"one", b"two"]
        assert (await client.get("/aread")).json() == {"a": "2", "late": True}

    async_to_sync(visit)()


def test_late_changes_of_a_stream_that_fails_are_dropped_with_an_event(
    deployment: Deployment,
) -> None:
    client = AsyncClient()
    told: list[Any] = []
    deployment.events.add([told.append])

    async def task(request: Any) -> Any:
        await request.session.aset("a", "2")

        async def parts() -> Any:
            yield b"one"
            request.session["late"] = True
            raise LookupError("no end")

        return StreamingHttpResponse(parts())

    async def visit() -> None:
        await client.get("/awrite", {"a": "1"})
        aviews.task = task
        response = await client.get("/arun")
        with pytest.raises(LookupError, match="no end"):
            [part async for part in response.streaming_content]
        assert (await client.get("/aread")).json() == {"a": "2"}

    async_to_sync(visit)()
    assert [event.keys for event in told if isinstance(event, ChangesDropped)] == [("late",)]


def test_a_late_touch_goes_out_after_the_response(clock: Clock, deployment: Deployment) -> None:
    client = Client()
    client.get("/write", {"a": "1"})
    counting = Counting()
    driver = deployment.blocking
    driver.store = wrap(driver.store, counting)
    clock.advance(300)
    order: list[str] = []

    def task(request: Any) -> HttpResponse:
        response = HttpResponse(str(request.session["a"]))
        response._resource_closers.append(lambda: order.append(str(dict(counting.trips))))
        return response

    run(task, client)
    assert "touch" not in order[0]
    assert counting.trips["touch"] == 1


def test_other_headers_stay() -> None:
    def task(request: Any) -> HttpResponse:
        request.session["a"] = 1
        response = HttpResponse("x", headers={"Vary": "Accept", "Cache-Control": "public"})
        response.set_cookie("other", "1")
        return response

    response = run(task)
    assert response["Vary"] == "Accept, Cookie"
    assert response["Cache-Control"] == "no-store"
    assert set(response.cookies) == {"other", "sessionid"}


def test_save_every_request_counts_every_request(clock: Clock) -> None:
    with (
        override_settings(SESSION_COOKIE_AGE=600, SESSION_SAVE_EVERY_REQUEST=True),
        conf.using(Deployment(conf.load_settings(), clock=clock)),
    ):
        client = Client()
        client.get("/write", {"a": "1"})
        for _ in range(4):
            clock.advance(400)
            client.get("/public")
        assert client.get("/read").json() == {"a": "1"}


def test_several_cookie_headers_under_asgi() -> None:
    async def visit() -> None:
        client = AsyncClient()
        await client.get("/awrite", {"a": "1"})
        token = client.cookies["sessionid"].value
        client.cookies.clear()
        request = client._base_scope(path="/aread")
        request["headers"] = [(b"cookie", b"x=1"), (b"cookie", f"sessionid={token}".encode())]
        response = await client.request(**request)
        assert response.json() == {"a": "1"}

    async_to_sync(visit)()


def test_a_secure_cookie_over_plain_http_is_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_module, "_warned", False)
    Client().get("/write", {"a": "1"})
    Client(headers={"host": "localhost:8000"}).get("/write", {"a": "1"})
    Client(headers={"host": "10.0.0.9:8000"}).get("/write", {"a": "1"}, secure=True)
    assert "plain http" not in caplog.text
    for _ in range(2):
        Client(headers={"host": "10.0.0.9:8000"}).get("/write", {"a": "1"})
    assert caplog.text.count("plain http to '10.0.0.9'") == 1
