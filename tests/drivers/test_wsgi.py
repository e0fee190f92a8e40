"""The WSGI driver as servers and applications meet it: start_response, write, iterables, close."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from werkzeug.test import create_environ
from werkzeug.wrappers import Request, Response

from openclaw_middleware import (
    CodecError,
    ConfigurationError,
    ResponseStarted,
    Session,
    SessionManager,
    StoreUnavailable,
)
from openclaw_middleware.client import ClientInfo
from openclaw_middleware.wsgi import SessionMiddleware, get_manager, get_session

from .steps import break_store, mend_store
from .world import World

with warnings.catch_warnings():  # WebOb still imports the standard library's cgi
    warnings.simplefilter("ignore", DeprecationWarning)
    from webtest import TestApp

OK = ("200 OK", [("Content-Type", "text/plain")])
App = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Body:
    """An application's iterable that counts how often it is closed."""

    def __init__(self, chunks: Iterable[Any], act: Callable[[], object] = lambda: None) -> None:
        self.chunks = iter(chunks)
        self.act = act
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self.chunks)
        if isinstance(chunk, BaseException):
            raise chunk
        return bytes(chunk)

    def close(self) -> None:
        self.closed += 1
        self.act()


class Server:
    """As much of a WSGI server as PEP 3333 asks: headers leave with the first non-empty chunk."""

    def __init__(self, world: World, app: App) -> None:
        self.world = world
        self.middleware = SessionMiddleware(app, world.runtime("sync"))
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.sent = b""
        self.body: Any = None

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        if exc_info is not None and self.sent:
            raise exc_info[1]
        assert exc_info is not None or not self.status
        self.status, self.headers = status, headers
        return self.write

    def write(self, data: bytes) -> None:
        assert self.status
        self.sent += data

    def call(self, **environ: Any) -> Any:
        """Call the application; what it returns is not iterated yet."""
        self.status, self.headers, self.sent = "", [], b""
        built = create_environ()
        cookies = self.world.browser().header
        if cookies:
            built["HTTP_COOKIE"] = cookies
        built.update(environ)
        self.body = self.middleware(built, self.start_response)
        return self.body

    def run(self, **environ: Any) -> bytes:
        """A whole request."""
        body = self.call(**environ)
        try:
            for chunk in body:
                self.write(chunk)
        finally:
            self.close()
        self.world.browser().take(self)  # type: ignore[arg-type]  # all() is all it needs
        return self.sent

    def close(self) -> None:
        getattr(self.body, "close", lambda: None)()

    def all(self, wanted: str) -> list[str]:
        return [value for name, value in self.headers if name.lower() == wanted]


@pytest.fixture
def world() -> World:
    return World()


def writer(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    get_session(environ)["a"] = 1
    start_response(*OK)
    return [b"ok"]


def begun(world: World) -> None:
    """Give browser a stored session with a=1."""
    Server(world, writer).run()
    assert world.live() == [(None, {"a": 1})]


# -- start_response and write


def test_generator_that_starts_late_gets_its_cookie(world: World) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        get_session(environ)["a"] = 1
        start_response(*OK)
        yield b""
        get_session(environ)["b"] = 2
        yield b"one"
        get_session(environ)["c"] = 3
        yield b"two"

    server = Server(world, app)
    body = server.call()
    assert server.status == ""
    assert next(body) == b"one"
    assert len(server.all("set-cookie")) == 1
    assert world.live() == [(None, {"a": 1, "b": 2})]
    assert list(body) == [b"two"]
    assert world.live() == [(None, {"a": 1, "b": 2})]
    body.close()
    assert world.live() == [(None, {"a": 1, "b": 2, "c": 3})]


def test_generator_without_a_byte(world: World) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        get_session(environ)["a"] = 1
        start_response("204 No Content", [])
        yield b""

    server = Server(world, app)
    assert server.run() == b""
    assert server.status == "204 No Content"
    assert server.all("set-cookie")


def test_write_commits_before_the_first_byte(world: World) -> None:
    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        session = get_session(environ)
        write = start_response(*OK)
        write(b"")
        session["a"] = 1
        assert world.live() == []
        write(b"one ")
        seen.append(world.live())
        write(b"two ")
        session["a"] = 2
        return [b"three"]

    server = Server(world, app)
    assert server.run() == b"one two three"
    assert seen == [[(None, {"a": 1})]]
    assert len(server.all("set-cookie")) == 1
    assert world.live() == [(None, {"a": 2})]


def test_failed_commit_in_write_replaces_the_response(world: World) -> None:
    body = Body([b"never"])

    def app(environ: Any, start_response: Any) -> Body:
        write = start_response(*OK)
        get_session(environ)["a"] = 1
        for _ in range(2):  # the second one does not slip through
            with pytest.raises(StoreUnavailable):
                write(b"never")
            mend_store(world)
        return body

    break_store()(world)
    server = Server(world, app)
    assert b"out of reach" in server.run()
    assert server.status == "503 Service Unavailable"
    assert body.closed == 1


def test_failed_commit_in_write_that_was_not_caught(world: World) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        get_session(environ)["a"] = 1
        start_response(*OK)(b"never")
        raise AssertionError

    break_store()(world)
    server = Server(world, app)
    assert b"out of reach" in server.run()
    assert server.status.startswith("503")


def test_failed_commit_in_write_that_became_another_error(world: World) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        get_session(environ)["a"] = 1
        try:
            start_response(*OK)(b"never")
        except StoreUnavailable as error:
            raise RuntimeError("no page") from error
        return []

    break_store()(world)
    server = Server(world, app)
    assert b"out of reach" in server.run()


def test_start_response_twice_is_the_applications_mistake(world: World) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response(*OK)
        start_response(*OK)
        return [b""]

    with pytest.raises(AssertionError, match="without exc_info"):
        Server(world, app).run()


def test_data_without_start_response_is_the_applications_mistake(world: World) -> None:
    for chunks in ([b"x"], []):
        with pytest.raises(AssertionError, match="before it called start_response"):
            Server(world, lambda environ, _, chunks=chunks: list(chunks)).run()


def test_exc_info_replaces_the_head_before_the_commit(world: World) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        get_session(environ)["a"] = 1
        start_response(*OK)
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response("500 Oops", [("X-Why", "zero")], sys.exc_info())
        return [b"oops"]

    server = Server(world, app)
    assert server.run() == b"oops"
    assert server.status == "500 Oops"
    assert server.headers == [("X-Why", "zero"), ("Vary", "Cookie")]
    assert world.live() == []


def test_exc_info_after_the_commit_keeps_the_cookie(world: World) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        session = get_session(environ)
        session.login("u1")
        start_response(*OK)

        def chunks() -> Iterator[bytes]:
            try:
                raise ZeroDivisionError
            except ZeroDivisionError:
                start_response("500 Oops", [("X-Why", "zero")], sys.exc_info())
            yield b"oops"
            session["late"] = 1

        return chunks()

    server = Server(world, app)
    assert server.run() == b"oops"
    assert server.status == "500 Oops"
    # The sign-in was stored, so its cookie must not get lost; what follows the error is dropped.
    assert server.all("set-cookie")
    assert server.all("x-why") == ["zero"]
    assert world.live() == [("u1", {})]


def test_exc_info_after_bytes_have_left_raises(world: World) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        get_session(environ)["a"] = 1
        start_response(*OK)
        yield b"one"
        try:
            raise ZeroDivisionError("late")
        except ZeroDivisionError:
            start_response("500 Oops", [], sys.exc_info())

    with pytest.raises(ZeroDivisionError, match="late"):
        Server(world, app).run()
    assert world.live() == [(None, {"a": 1})]


# -- whose iterable, and how often it is closed


@pytest.mark.parametrize("signed_in", [False, True])
def test_untouched_session_returns_the_applications_own_list(world: World, signed_in: bool) -> None:
    if signed_in:
        begun(world)
    own = [b"ok"]

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response(*OK)
        return own

    server = Server(world, app)
    assert server.call() is own
    assert server.headers is OK[1]


def test_untouched_session_returns_the_applications_own_file(world: World) -> None:
    begun(world)
    own = FileWrapper(open(__file__, "rb"))  # noqa: SIM115  # closed by the server

    def app(environ: Any, start_response: Any) -> FileWrapper:
        start_response(*OK)
        return own

    server = Server(world, app)
    assert server.call(**{"wsgi.file_wrapper": FileWrapper}) is own
    server.close()


def test_visitor_without_a_session_gets_the_applications_own_generator(world: World) -> None:
    own = Body([b"x"])

    def app(environ: Any, start_response: Any) -> Body:
        start_response(*OK)
        return own

    assert Server(world, app).call() is own


def test_late_change_of_a_session_nobody_had_touched_is_saved(world: World) -> None:
    begun(world)

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response(*OK)
        return (environ["openclaw.session"].update(b=2) or b"x" for _ in range(1))

    Server(world, app).run()
    assert world.live() == [(None, {"a": 1, "b": 2})]


@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize("fault", ["none", "iteration", "commit", "codec", "close", "disconnect"])
def test_iterable_is_closed_exactly_once(world: World, fault: str, started: bool) -> None:
    def fail() -> None:
        if fault == "close":
            raise ZeroDivisionError

    chunks = [b"one", ZeroDivisionError()] if fault == "iteration" else [b"one", b"two"]
    body = Body(chunks, fail)

    def change(environ: Any) -> None:
        session = get_session(environ)
        session["list"] = []
        if fault == "codec":
            session["list"].append(object())

    def app(environ: Any, start_response: Any) -> Body:
        change(environ)
        if started:
            start_response(*OK)
        else:
            inner = body.chunks

            def late() -> Iterator[Any]:
                start_response(*OK)
                yield from inner

            body.chunks = late()
        return body

    if fault == "commit":
        break_store()(world)
    server = Server(world, app)
    if fault in ("none", "commit"):
        server.run()
    elif fault == "disconnect":
        assert next(iter(server.call())) == b"one"
        server.close()
    else:
        with pytest.raises(CodecError if fault == "codec" else ZeroDivisionError):
            server.run()
    assert body.closed == 1
    getattr(server.body, "close", lambda: None)()
    assert body.closed == (1 if server.body is not body else 2)
    stored = [] if fault in ("commit", "codec") else [(None, {"list": []})]
    assert world.live() == stored


def test_close_without_a_read_still_commits(world: World) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        get_session(environ)["a"] = 1
        start_response(*OK)
        yield b""
        yield b"x"

    server = Server(world, app)
    server.call()
    server.close()  # the generator never ran: nothing happened
    assert world.live() == []

    def eager(environ: Any, start_response: Any) -> Iterable[bytes]:
        get_session(environ)["a"] = 1
        start_response(*OK)
        return Body([b"x"])

    server = Server(world, eager)
    server.call()
    server.close()
    assert world.live() == [(None, {"a": 1})]


def test_failing_close_still_runs_a_late_logout(world: World) -> None:
    begun(world)

    def app(environ: Any, start_response: Any) -> Body:
        start_response(*OK)

        def fail() -> None:
            get_session(environ).logout()
            raise ZeroDivisionError

        return Body([b"x"], fail)

    with pytest.raises(ZeroDivisionError):
        Server(world, app).run()
    assert world.live() == []


# -- failures


def test_exception_runs_what_narrows(world: World) -> None:
    Server(world, writer).run()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        get_session(environ).logout()
        get_session(environ)["b"] = 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Server(world, app).run()
    assert world.live() == []


def test_exception_in_the_middle_of_a_stream(world: World) -> None:
    begun(world)

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response(*OK)
        yield b"one"
        get_session(environ)["b"] = 2
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Server(world, app).run()
    assert world.live() == [(None, {"a": 1})]


def test_failed_commit_at_the_first_chunk_replaces_the_response(world: World) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        get_session(environ)["a"] = 1
        start_response("200 OK", [("X-Secret", "1"), ("Content-Length", "3")])
        yield b"one"

    break_store()(world)
    server = Server(world, app)
    sent = server.run()
    assert server.status == "503 Service Unavailable"
    assert server.all("content-length") == [str(len(sent))]
    assert server.all("retry-after")
    assert not server.all("x-secret")


def test_store_failing_after_the_response_is_loud_but_too_late(world: World) -> None:
    begun(world)

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response(*OK)
        yield b"one"
        get_session(environ)["b"] = 2
        break_store("save")(world)

    server = Server(world, app)
    with pytest.raises(StoreUnavailable):
        server.run()
    assert server.sent == b"one"


# -- after the response


def test_touch_that_can_wait_goes_out_in_close(world: World) -> None:
    begun(world)

    def app(environ: Any, start_response: Any) -> list[bytes]:
        _ = get_session(environ)["a"]
        start_response(*OK)
        return [b"ok"]

    world.clock.advance(200)
    server = Server(world, app)
    world.trips.reset()
    list(server.call())
    assert world.trips.trips == {"load": 1}
    server.close()
    assert world.trips.trips == {"load": 1, "touch": 1}


def test_new_session_cannot_begin_after_the_response_started(world: World) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response(*OK)
        yield b"one"
        with pytest.raises(ResponseStarted):
            get_session(environ)["a"] = 1
        yield b"two"

    assert Server(world, app).run() == b"onetwo"


# -- the request


def test_path_is_the_whole_path_in_text(world: World) -> None:
    world = World(skip_paths=("/shop/static", "/bü"), client_info="full")

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response(*OK)
        return [str("openclaw.session" in environ).encode()]

    server = Server(world, app)
    assert server.run(SCRIPT_NAME="/shop", PATH_INFO="/static/x") == b"False"
    assert server.run(SCRIPT_NAME="", PATH_INFO="/static/x") == b"True"
    assert server.run(PATH_INFO="/b\xc3\xbc") == b"False"


@pytest.mark.parametrize("network", ["::ffff:10.1.2.3", "::ffff:10.0.0.0/104", "::/0"])
def test_a_proxy_may_be_named_as_a_server_that_listens_on_both_sees_it(network: str) -> None:
    trusted = ClientInfo("full", (network,))
    assert trusted.trusts("::ffff:10.1.2.3")
    assert not trusted.trusts("192.0.2.7")


@pytest.mark.parametrize("proxy", ["10.1.2.3", "::ffff:10.1.2.3", "10.1.2.3%eth0"])
@pytest.mark.parametrize("client", ["192.0.2.7", "::ffff:192.0.2.7", "192.0.2.7%<b>any text"])
def test_client_is_remembered(world: World, proxy: str, client: str) -> None:
    """As its plain address, also by a server that listens on IPv6 and IPv4 at once."""
    world = World(client_info="full", trusted_proxies=("10.0.0.0/8",))
    Server(world, writer).run(
        REMOTE_ADDR=proxy, HTTP_X_FORWARDED_FOR=client, HTTP_USER_AGENT="Firefox"
    )
    assert world.contents()[0]["meta"]["client"] == {
        "user_agent": "Firefox",
        "address": "192.0.2.7",
    }


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", "192.0.2.7", "203.0.113.9"),
        ("10.1.2.3", "192.0.2.7, 203.0.113.9, 10.7.7.7", "203.0.113.9"),
        ("10.1.2.3", "10.7.7.7", "10.7.7.7"),
        ("10.1.2.3", "", "10.1.2.3"),
    ],
    ids=["not by a proxy", "the nearest that is none", "proxies alone", "nothing said"],
)
def test_only_our_proxies_say_where_a_client_is(peer: str, forwarded: str, address: str) -> None:
    world = World(client_info="full", trusted_proxies=("10.0.0.0/8",))
    Server(world, writer).run(REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)
    assert world.contents()[0]["meta"]["client"] == {"address": address}


def test_the_same_sessions_twice_commit_once(world: World) -> None:
    server = Server(world, writer)
    inner = server.middleware

    def outer(environ: Any, start_response: Any) -> Iterable[bytes]:
        session = get_session(environ)
        session["a"] = 0
        answer = inner(environ, start_response)
        assert session["a"] == 1
        return answer

    server.middleware = SessionMiddleware(outer, inner.runtime)
    server.run()
    assert len(server.all("set-cookie")) == 1
    assert world.live() == [(None, {"a": 1})]


def test_other_sessions_inside_are_their_own(world: World) -> None:
    other = World(cookie_name="inner", namespace="inner")

    def app(environ: Any, start_response: Any) -> list[bytes]:
        get_session(environ)["inner"] = 1
        start_response(*OK)
        return [b"ok"]

    inner = SessionMiddleware(app, other.runtime("sync"))

    def outer(environ: Any, start_response: Any) -> Iterable[bytes]:
        get_session(environ)["outer"] = 1
        answer = inner(environ, start_response)
        get_session(environ)["outer"] = 2
        return answer

    server = Server(world, outer)
    server.run()
    assert len(server.all("set-cookie")) == 2
    assert (world.live(), other.live()) == ([(None, {"outer": 2})], [(None, {"inner": 1})])


def test_two_sessions_of_one_cookie_are_refused(world: World) -> None:
    server = Server(world, SessionMiddleware(writer, World().runtime("sync")))
    with pytest.raises(ConfigurationError, match="use the cookie 'session'"):
        server.run()


def test_accessors(world: World) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        session = get_session(Request(environ))
        assert session is environ["openclaw.session"]
        assert isinstance(session, Session)
        session.login("u1")
        session.save()
        manager = get_manager(environ)
        assert isinstance(manager, SessionManager)
        assert [each.id for each in manager.sessions_of("u1").items] == [session.id]
        start_response(*OK)
        return []

    Server(world, app).run()
    for find in (get_session, get_manager):
        with pytest.raises(ConfigurationError, match="add SessionMiddleware"):
            find({})


# -- real tools on top


def test_validator_on_both_sides() -> None:
    world = World()

    def plain(environ: Any, start_response: Any) -> list[bytes]:
        session = get_session(environ)
        session["n"] = session.get("n", 0) + 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(session["n"]).encode()]

    def stream(environ: Any, start_response: Any) -> Iterator[bytes]:
        session = get_session(environ)
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b""
        yield b"n="
        yield str(session.get("n")).encode()

    def apps(environ: Any, start_response: Any) -> Any:
        app = stream if environ["PATH_INFO"] == "/stream" else plain
        return app(environ, start_response)

    # The generator calls start_response when it is first read, which the inner validator refuses.
    app = SessionMiddleware(apps, world.runtime("sync"))
    client = TestApp(validator(app))
    assert client.get("/").text == "1"
    assert client.get("/").text == "2"
    assert client.get("/stream").text == "n=2"
    strict = TestApp(validator(SessionMiddleware(validator(plain), world.runtime("sync"))))
    assert strict.get("/").text == "1"
    break_store()(world)
    answer = client.get("/", status=503)
    assert answer.headers["Retry-After"]


def test_webtest_drives_a_sign_in() -> None:
    world = World()

    @Request.application
    def app(request: Request) -> Response:
        session = get_session(request)
        if request.path == "/login":
            session.login(request.form["user"])
        if request.path == "/logout":
            session.logout()
        return Response(f"{session.user_id}")

    client = TestApp(SessionMiddleware(app, world.runtime("sync")))
    assert client.get("/").text == "None"
    assert client.cookies == {}
    client.post("/login", {"user": "ada"})
    assert client.get("/").text == "ada"
    first = client.cookies["session"]
    client.post("/login", {"user": "ada"})
    assert client.cookies["session"] != first
    client.post("/logout")
    assert client.cookies == {}
    assert client.get("/").text == "None"
    assert world.live() == []


def test_memory_store_is_shared_with_a_manager() -> None:
    world = World()
    runtime = world.runtime("sync")
    manager = SessionManager(runtime)
    client = TestApp(SessionMiddleware(writer, manager))
    client.get("/")
    assert manager.stats().live == 1
