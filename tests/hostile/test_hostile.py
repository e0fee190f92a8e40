"""Strangers' bytes: cookies, tokens, envelopes, settings and URLs never do more than be refused."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw_middleware import ConfigurationError, SessionSettings
from openclaw_middleware.asgi import SessionMiddleware as AsgiMiddleware
from openclaw_middleware.asgi import get_session
from openclaw_middleware.core import events as ev
from openclaw_middleware.core.token import Token, mint
from openclaw_middleware.signing import TokenSigner
from openclaw_middleware.stores.base import StoreOptions
from openclaw_middleware.stores.url import open_store
from openclaw_middleware.wsgi import SessionMiddleware as WsgiMiddleware

from . import fuzz
from .targets import KEY, TARGETS, Site

SAME_EACH_TIME = settings(
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    max_examples=150,
    suppress_health_check=list(HealthCheck),
)
CORPUS = [(file.parent.name, file) for file in sorted(fuzz.CORPUS.glob("*/*"))]


@pytest.mark.parametrize(("name", "file"), CORPUS, ids=lambda value: getattr(value, "name", value))
def test_the_corpus_breaks_nothing(name: str, file: Path) -> None:
    """Every input worth keeping."""
    TARGETS[name](file.read_bytes())


def test_every_target_has_a_corpus() -> None:
    """So that a long run starts from something."""
    assert {name for name, _ in CORPUS} == set(TARGETS)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_mutations_of_the_corpus_break_nothing(name: str) -> None:
    """A few hundred inputs a time, the same ones; `tests.hostile.fuzz` tries millions."""
    import random

    chance, known = random.Random(name), [*fuzz.seeds(name), b""]
    for _ in range(300):
        TARGETS[name](fuzz.mutated(chance, known))


@pytest.mark.parametrize("name", sorted(TARGETS))
@SAME_EACH_TIME
@given(data=st.binary(max_size=200))
def test_no_bytes_break_anything(name: str, data: bytes) -> None:
    """Whatever the bytes."""
    TARGETS[name](data)


@SAME_EACH_TIME
@given(
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 255)), max_size=3),
    st.integers(0, 140),
    st.sampled_from(["plain", "quoted", "twice", "late"]),
)
def test_a_genuine_token_altered_is_a_stranger(
    changes: list[tuple[int, int]], length: int, how: str
) -> None:
    """Bit flips and cuts, quoted, doubled, behind others: anonymous, no store call, no record."""
    site = Site()
    genuine = site.runtime.desk.signer.sign(mint("", lambda n: b"x" * n))
    altered = bytearray(genuine.encode())[: max(length, 1)]
    for at, value in changes:
        altered[at % len(altered)] = value
    value = altered.decode("latin-1")
    if site.runtime.desk.signer.verify(value) is not None:
        return
    name = site.name
    header = {
        "plain": f"{name}={value}",
        "quoted": f'{name}="{value}"',
        "twice": f"{name}={value}; {name}={value}x",
        "late": "; ".join(f"c{number}=1" for number in range(60)) + f"; {name}={value}",
    }[how]
    session = site.visit(header)

    assert session.user_id is None
    assert session.id not in value
    assert site.trips.total == 0
    assert not site.store.state.records


def sign_in(site: Site, user: str) -> str:
    """The cookie's value of a new session."""
    exchange = site.runtime.exchange("", "/", "GET", lambda name: None)
    assert exchange is not None
    site.runtime.session(exchange, blocking=True).login(user)
    site.runtime.blocking.commit(exchange)
    assert exchange.cookie is not None
    return exchange.cookie.partition(";")[0].partition("=")[2]


def test_a_genuine_cookie_is_found_among_three_strangers_and_not_behind_four() -> None:
    """Four values of our name are tried."""
    site = Site()
    cookie = sign_in(site, "ada")
    strangers = [f"{site.name}=stranger{number}" for number in range(4)]

    for count, user in ((0, "ada"), (3, "ada"), (4, None)):
        header = "; ".join([*strangers[:count], f"{site.name}={cookie}"])
        assert site.visit(header).user_id == user


def test_two_genuine_cookies_open_neither_session() -> None:
    """Somebody planted one beside the visitor's: anonymous, and every variant is deleted."""
    site = Site(previous_cookies=[{"name": "former"}])
    one, two = sign_in(site, "ada"), sign_in(site, "bob")
    site.trips.reset()
    exchange = site.runtime.exchange(
        f"{site.name}={one}; {site.name}={two}", "/", "GET", lambda name: None
    )
    assert exchange is not None
    session = site.runtime.session(exchange, blocking=True)

    assert session.user_id is None
    assert site.trips.total == 0
    deleted = [line.partition("=")[0] for line in exchange.cookies() if "Max-Age=0" in line]
    assert sorted(deleted) == sorted([site.name, "former"])
    assert [e.valid for e in site.heard if isinstance(e, ev.CookieRejected)] == [2]


@pytest.mark.parametrize(
    "header",
    [
        "session=" + "A" * 1_000_000,
        "session=A; " * 100_000,
        ";" * 1_000_000,
        "=" * 1_000_000,
        " " * 1_000_000 + "session=A",
        'session="' + '"' * 1_000_000,
        "; ".join(f"session={'A' * 100}.{number}" for number in range(10_000)),
        "session=" + "." * 4000,
        "session=" + "." * 22 + ".9" * 2000,
    ],
    ids=lambda header: f"{header[:20]} x {len(header)}",
)
def test_a_long_header_is_over_quickly(header: str) -> None:
    """A megabyte of anything, far more than a server lets through, in bounded time."""
    site = Site()
    began = time.thread_time()
    assert site.visit(header).user_id is None

    assert time.thread_time() - began < 1.0
    assert site.trips.total == 0


@pytest.mark.parametrize("generation", [1, 99_999, 100_001, 999_999_999])
def test_a_signed_token_of_a_huge_generation_costs_no_walk(generation: int) -> None:
    """Somebody with our key, or a store that went back: anonymous, at once, nothing ends."""
    site = Site(rotation_interval=300)
    cookie = sign_in(site, "ada")
    token = site.runtime.desk.signer.verify(cookie)
    assert token is not None
    forged = site.runtime.desk.signer.sign(Token(token.id, generation, token.secret))
    began = time.thread_time()

    assert site.visit(f"{site.name}={forged}").user_id is None
    assert time.thread_time() - began < 1.0
    assert site.visit(f"{site.name}={cookie}").user_id == "ada"


def test_a_stored_generation_out_of_all_reason_costs_no_walk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Written by somebody into the store: to find it from the token would take minutes."""
    site = Site()
    cookie = sign_in(site, "ada")
    records = site.store.state.records
    records.update({key: replace(each, generation=10**9) for key, each in records.items()})

    def walk(*_: Any) -> Any:
        raise AssertionError("a step was taken")

    monkeypatch.setattr("openclaw_middleware.core.verdict.successor", walk)
    assert site.visit(f"{site.name}={cookie}").user_id is None


def test_a_token_of_another_deployment_is_a_stranger() -> None:
    """Another key, the same store: neither adopted nor an error."""
    site = Site()
    foreign = TokenSigner([KEY[::-1]])
    token = site.runtime.desk.signer.verify(sign_in(site, "ada"))
    assert token is not None

    assert site.visit(f"{site.name}={foreign.sign(token)}").user_id is None


RAW = [b"session=\xff\xfe\x00", b"\xff=\xff; session=\xc3\x28", b"session=\xe2\x82", b"\x00" * 50]


@pytest.mark.parametrize("raw", RAW, ids=repr)
def test_bytes_that_are_no_text_are_answered_as_a_stranger(raw: bytes) -> None:
    """Through both drivers: 200, no cookie, no record."""
    site = Site()
    said: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        user = get_session(scope).user_id
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": repr(user).encode()})

    async def send(message: Any) -> None:
        said.append(message)

    scope = {"type": "http", "path": "/", "method": "GET", "headers": [(b"cookie", raw)]}
    asyncio.run(AsgiMiddleware(application, site.runtime)(scope, None, send))  # type: ignore[arg-type]
    assert said[0]["status"] == 200
    assert said[1]["body"] == b"None"
    assert b"set-cookie" not in dict(said[0]["headers"])

    def wsgi(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [repr(environ["openclaw.session"].user_id).encode()]

    heads: list[Any] = []
    environ = {"PATH_INFO": "/", "REQUEST_METHOD": "GET", "HTTP_COOKIE": raw.decode("latin-1")}
    body = WsgiMiddleware(wsgi, site.runtime)(environ, lambda *head: heads.append(head))  # type: ignore[arg-type, return-value]
    assert b"".join(body) == b"None"
    assert heads[0][0] == "200 OK"
    assert "Set-Cookie" not in dict(heads[0][1])
    assert not site.store.state.records


@pytest.mark.parametrize(
    "store",
    [
        "redis://localhost[/0",
        "redis://[::x]:6379/0",
        "postgresql://h/db?host=x&port=y",
        "sqlite://user:password@/file.db",
    ],
)
def test_a_broken_url_is_a_configuration_error(store: str) -> None:
    """And nothing else: the mend is in its message."""
    with pytest.raises(ConfigurationError):
        open_store(SessionSettings(secret_key=KEY, store=store).store, StoreOptions(), "sync")


def test_a_list_nested_too_deep_is_a_configuration_error() -> None:
    """From the environment, where lists are JSON."""
    with pytest.raises(ConfigurationError):
        SessionSettings.load(
            environ={
                "OPENCLAW_SESSION__SECRET_KEY": KEY,
                "OPENCLAW_SESSION__STORE": "memory://",
                "OPENCLAW_SESSION__PASSIVE_PATHS": "[" * 5000,
            }
        )
