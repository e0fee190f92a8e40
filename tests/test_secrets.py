"""P13: tokens, secrets and keys appear nowhere but in the cookie; encrypted data not in a dump.

A whole life of sessions through Starlette, Flask, Django and plain WSGI with everything talkative:
the root logger at DEBUG, every event heard, errors raised, every representation printed, the store
dumped.
"""

from __future__ import annotations

import hashlib
import io
import logging
import secrets
import sqlite3
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import tests.adapters.django.configured  # noqa: F401  # before anything of Django's

# isort: split
from django.test import Client, override_settings

from openclaw_middleware import Session, SessionManager, SessionSettings
from openclaw_middleware.adapters.django import conf
from openclaw_middleware.adapters.django import get_session as django_session
from openclaw_middleware.adapters.django.deployment import Deployment
from openclaw_middleware.adapters.flask import OpenClaw
from openclaw_middleware.adapters.flask import get_session as flask_session
from openclaw_middleware.adapters.starlette import SessionMiddleware, get_session
from openclaw_middleware.codecs.encryption import AesGcmRing
from openclaw_middleware.codecs.msgpack import MsgpackCodec
from openclaw_middleware.core.envelope import Sealer
from openclaw_middleware.runtime import Runtime, register
from openclaw_middleware.wsgi import SessionMiddleware as WsgiMiddleware
from tests.adapters.django.project import views
from tests.fire.places import rotate_always

PREFIX = "/_session/"
DATA = "plain-data-Qz7mark"
FORMER_KEY = "f" + secrets.token_urlsafe(40)
SERVERS = ("scope", "environ")
STORES = ("memory", "sqlite", "redis", "postgres", "mariadb")


class Heard:
    """Everything a deployment says: log lines, events, representations, tracebacks."""

    def __init__(self) -> None:
        self.text = io.StringIO()
        self.handler = logging.StreamHandler(self.text)
        self.handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s"))

    def note(self, *things: object) -> None:
        """Take down what these look like."""
        for thing in things:
            self.text.write(f"{thing!r} {thing!s}\n")

    def answer(self, body: str, headers: Iterable[tuple[str, str]]) -> None:
        """Take down all of a response but the cookies it sets."""
        self.note(body, [pair for pair in headers if pair[0].lower() != "set-cookie"])

    def trouble(self, error: BaseException) -> None:
        """Take down an error with its trace and our local variables: all but the server's own
        `scope` or `environ`, which holds every header of the request."""
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
        self.text.write("".join(traceback.format_exception(error)))
        self.text.write(repr(error) + str(error))
        for frame in trace.stack:
            if "openclaw_middleware" in frame.filename:
                ours = {k: v for k, v in (frame.locals or {}).items() if k not in SERVERS}
                self.text.write(repr(ours))


@pytest.fixture
def heard() -> Iterator[Heard]:
    """With the root logger at DEBUG."""
    heard, root = Heard(), logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(heard.handler)
    yield heard
    root.removeHandler(heard.handler)
    root.setLevel(level)


@pytest.fixture(params=STORES)
def place(
    request: pytest.FixtureRequest, tmp_path: Path
) -> tuple[str, str, Callable[[Runtime], bytes]]:
    """A store's URL, the namespace, and how to get everything that lies in it."""
    namespace = f"t{secrets.token_hex(5)}"
    if request.param == "memory":
        return "memory://", namespace, _dump_memory
    if request.param == "sqlite":
        file = tmp_path / "sessions.db"
        return f"sqlite:///{file}", namespace, lambda runtime: _dump_files(tmp_path)
    url = request.getfixturevalue(f"{request.param}_url")
    if request.param == "redis":
        return url, namespace, lambda runtime: _dump_redis(url, namespace)
    return url, namespace, lambda runtime: _dump_server(runtime, namespace)


def _dump_memory(runtime: Runtime) -> bytes:
    state: Any = runtime.blocking.store.state  # type: ignore[attr-defined]
    fields = [getattr(r, name) for r in state.records.values() for name in r.__slots__]
    whole = [state.tombstones, state.users, state.not_before, state.earlier_writes]
    return b"".join(f if isinstance(f, bytes) else repr(f).encode() for f in [*fields, *whole])


def _dump_files(folder: Path) -> bytes:
    with sqlite3.connect(folder / "sessions.db") as connection:
        lines = "\n".join(connection.iterdump()).encode()
        rows = connection.execute("SELECT payload FROM " + _table(connection)).fetchall()
    connection.close()
    raw = b"".join(file.read_bytes() for file in folder.iterdir())
    return raw + lines + b"".join(row[0] or b"" for row in rows)


def _table(connection: sqlite3.Connection) -> str:
    found = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE '%_sessions'")
    return str(found.fetchone()[0])


def _dump_redis(url: str, namespace: str) -> bytes:
    found = b""
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter(f"{namespace}:*"):
            found += key + (client.dump(key) or b"")
            if client.type(key) == b"hash":
                found += b"".join(k + v for k, v in client.hgetall(key).items())
            elif client.type(key) == b"zset":
                found += b"".join(member for member in client.zrange(key, 0, -1))
    return found


def _dump_server(runtime: Runtime, namespace: str) -> bytes:
    found = b""
    store: Any = runtime.blocking.store
    with store._engine().connect() as connection:
        for table in ("sessions", "users"):
            for row in connection.execute(text(f"SELECT * FROM {namespace}_{table}")):
                found += b"".join(c if isinstance(c, bytes) else repr(c).encode() for c in row)
    return found


def _settings(store: str, namespace: str, encrypted: bool) -> SessionSettings:
    return SessionSettings.for_tests(
        store=store,
        namespace=namespace,
        secret_key_fallbacks=[FORMER_KEY],
        user_tag_key="u" + secrets.token_urlsafe(40),
        encryption_keys=[secrets.token_urlsafe(32)] if encrypted else [],
        max_sessions_per_user=3,
        client_info="full",
        enable_heartbeat=True,
        store_timeout=20,
    )


VISITS = (
    *("write", "read", "login", "read", "write", "regenerate", "write", "unfit", "fail"),
    *("read", "login", "logout", "read", "login", "everywhere", "another", "write"),
)
# The cookies these visits are handed, as session.generation: a successor is due at every visit, and
# offered at the first that neither presents one for the first time nor replaces the session.
HANDED = "0.0 0.1 1.0 1.1 2.0 2.1 3.0 4.0 4.1 5.0 6.0 6.1"
WSGI_VISITS = 5


def _act(session: Session, verb: str, heard: Heard) -> str:
    """What each page does, in every framework."""
    heard.note(session)
    if verb == "login":
        session.login("ada", claims={"method": DATA})
    elif verb == "another":
        # Not ada: a sign-in may be refused that comes sooner after her logout everywhere than the
        # store's clock is known to the point.
        session.login("eve", claims={"method": DATA})
    elif verb == "logout":
        session.logout()
        session["flash"] = DATA
    elif verb == "regenerate":
        session.regenerate()
    elif verb == "everywhere" and session.user_id:
        session.logout_everywhere()
    elif verb == "write":
        session["note"] = {"text": DATA}
        session.apply("n", lambda n: n + 1, default=0)
    elif verb == "unfit":
        session["note"] = object()
    elif verb == "fail":
        raise RuntimeError("handler")
    heard.note(session, session.id, session.info, session._x, session._x.token)
    return session.id


Get = Callable[[str, str], None]


def _visit(get: Get, cookie: Callable[[], str | None], name: str, heard: Heard) -> list[str]:
    """Visits in every state, then with every cookie that was about, whole and cut."""
    tokens: list[str] = []
    for verb in VISITS:
        try:
            get(f"/{verb}", "")
        except Exception as error:
            heard.trouble(error)
        if (held := cookie()) and held not in tokens:
            tokens.append(held)
    get(f"{PREFIX}status", "")
    for stale in tokens:
        get(f"{PREFIX}status", f"{name}={stale}")
        get("/read", f"{name}={stale}; {name}={stale}x")
        get("/read", f"{name}={stale[:-1]}")
    return tokens


def _through_starlette(runtime: Runtime, name: str, heard: Heard) -> list[str]:
    async def act(request: Request) -> PlainTextResponse:
        return PlainTextResponse(_act(get_session(request), request.path_params["verb"], heard))

    app = Starlette(routes=[Route("/{verb}", act)])
    app.add_middleware(SessionMiddleware, sessions=runtime)
    with TestClient(app) as client:

        def get(path: str, header: str) -> None:
            if header:
                client.cookies.clear()
            answer = client.get(path, headers={"cookie": header} if header else {})
            heard.answer(answer.text, answer.headers.multi_items())

        return _visit(get, lambda: client.cookies.get(name), name, heard)


def _through_flask(runtime: Runtime, name: str, heard: Heard) -> list[str]:
    app = Flask("secrets")
    app.config["TESTING"] = True
    OpenClaw(app, sessions=runtime)
    app.add_url_rule("/<verb>", "act", lambda verb: _act(flask_session(), verb, heard))
    client = app.test_client()

    def get(path: str, header: str) -> None:
        if header:
            client.delete_cookie(name)
        answer = client.get(path, headers={"Cookie": header} if header else {})
        heard.answer(answer.text, answer.headers.items())

    def cookie() -> str | None:
        found = client.get_cookie(name)
        return found.value if found else None

    return _visit(get, cookie, name, heard)


def _through_django(runtime: Runtime, name: str, heard: Heard) -> list[str]:
    def act(request: Any) -> None:
        _act(django_session(request), request.GET["verb"], heard)

    views.task = act
    deployment = Deployment(runtime.settings, desk=runtime.desk)
    deployment._blocking = runtime.blocking
    client = Client()

    def get(path: str, header: str) -> None:
        if header:
            client.cookies.clear()
        headers = {"cookie": header} if header else {}
        asked = (path,) if path.startswith(PREFIX) else ("/run", {"verb": path[1:]})
        answer = client.get(*asked, headers=headers)
        heard.answer(answer.text, answer.items())

    def cookie() -> str | None:
        return client.cookies[name].value if name in client.cookies else None

    with override_settings(SESSION_COOKIE_NAME=name, DEBUG=True), conf.using(deployment):
        return _visit(get, cookie, name, heard)


FRAMEWORKS = {"starlette": _through_starlette, "flask": _through_flask, "django": _through_django}


def _named(cookies: list[str]) -> str:
    """Which session, in the order they came, and which generation each of these is of."""
    tokens = [value.rsplit(".", 3) for value in cookies]
    sessions = list(dict.fromkeys(public_id for public_id, *_ in tokens))
    return " ".join(f"{sessions.index(token[0])}.{token[1]}" for token in tokens)


def _through_wsgi(settings: SessionSettings, heard: Heard) -> list[str]:
    """Sign-ins, each with the cookie of the one before."""
    tokens: list[str] = []
    name = settings.cookie().name

    def application(environ: Any, start_response: Any) -> list[bytes]:
        session = environ["openclaw.session"]
        session.login("bob")
        session["note"] = DATA
        heard.note(session, session.info)
        start_response("200 OK", [])
        return [b"ok"]

    def start_response(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        heard.note(status)
        tokens.extend(
            value.partition(";")[0].removeprefix(f"{name}=")
            for key, value in headers
            if key == "Set-Cookie"
        )

    middleware = WsgiMiddleware(application, settings)
    cookie = ""
    for _ in range(WSGI_VISITS):
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_COOKIE": cookie}
        list(middleware(environ, start_response))
        cookie = f"{name}={tokens[-1]}"
    return tokens


def _with_another_key(runtime: Runtime, tokens: set[str]) -> None:
    """Visits to a deployment that cannot read what is stored, which is logged."""
    other = AesGcmRing([secrets.token_bytes(32)])
    sealer = Sealer(codec=MsgpackCodec(), mac_keys=[secrets.token_bytes(32)], cipher=other)
    blind = Runtime(runtime.settings, desk=replace(runtime.desk, sealer=sealer))
    blind._blocking = runtime.blocking
    for value in tokens:
        exchange = blind.exchange(f"{runtime.desk.cookie.name}={value}", "/", "GET", lambda n: None)
        assert exchange is not None
        assert blind.session(exchange, blocking=True).user_id is None


def _forbidden(settings: SessionSettings, tokens: set[str]) -> dict[str, bytes]:
    """What must be found nowhere, and what it is."""
    found: dict[str, bytes] = {}
    for number, value in enumerate(sorted(tokens)):
        text = value.rpartition(".")[0]
        found[f"cookie {number}"] = value.encode()
        found[f"token {number}"] = text.encode()
        found[f"secret {number}"] = text.rpartition(".")[2].encode()
        found[f"signature {number}"] = value.rpartition(".")[2].encode()
    for key in ("secret_key", "user_tag_key"):
        found[key] = getattr(settings, key).get_secret_value().encode()
    for number, key in enumerate(settings.encryption_keys):
        found[f"encryption key {number}"] = key.get_secret_value().encode()
    found["former key"] = FORMER_KEY.encode()
    return found


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("encrypted", [False, True], ids=["signed", "encrypted"])
def test_nothing_secret_is_logged_told_shown_or_stored(
    heard: Heard,
    place: tuple[str, str, Callable[[Runtime], bytes]],
    encrypted: bool,
    framework: str,
) -> None:
    """Zero hits for cookies, secrets, signatures and keys; with encryption, none for the data."""
    url, namespace, dump = place
    settings = _settings(url, namespace, encrypted)
    runtime = Runtime(settings, listeners=[heard.note])
    rotate_always(runtime)
    register(runtime)
    SessionManager(runtime).create_tables()
    handed = FRAMEWORKS[framework](runtime, settings.cookie().name, heard)
    assert _named(handed) == HANDED
    tokens = {*handed, *_through_wsgi(settings, heard)}
    assert len(tokens) == len(handed) + WSGI_VISITS
    _with_another_key(runtime, tokens)
    manager = SessionManager(runtime)
    heard.note(
        manager, manager.sessions_of("eve"), manager.stats(), settings, runtime, runtime.desk
    )
    stored = dump(runtime)
    for session in manager.sessions_of("bob").items:
        heard.note(session)
    manager.close()

    said = heard.text.getvalue().encode()
    assert b"LoggedIn" in said
    assert b"Rotated" in said
    assert b"RuntimeError" in said
    assert b"cannot be read" in said
    assert b'"state": "active"' in said
    wrong = [
        f"{what} in what was said"
        for what, it in _forbidden(settings, tokens).items()
        if it in said
    ]
    wrong += [
        f"{what} in the store" for what, it in _forbidden(settings, tokens).items() if it in stored
    ]
    assert wrong == []
    assert b"eve" in stored
    assert (DATA.encode() in stored) is not encrypted
    secret = sorted(tokens)[0].rpartition(".")[0].rpartition(".")[2]
    assert hashlib.sha256(secret.encode()).hexdigest().encode() not in said


def test_records_show_neither_hash_nor_payload_needlessly() -> None:
    """A record in a log line would show the hash of the secret: no part of ours logs one."""
    runtime = Runtime(SessionSettings.for_tests())
    exchange = runtime.exchange("", "/", "GET", lambda name: None)
    assert exchange is not None
    session = runtime.session(exchange, blocking=True)
    session.login("ada")
    runtime.blocking.commit(exchange)
    assert exchange.token is not None
    shown = (
        f"{exchange!r} {exchange.state!r} {session!r} {exchange.token!r} {runtime.desk.signer!r}"
    )

    assert exchange.token.secret not in shown
    assert runtime.settings.secret_key.get_secret_value() not in shown
