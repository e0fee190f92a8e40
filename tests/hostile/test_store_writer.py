"""Somebody who can write to the store and has no keys: what they cannot do, and what they can.

They cannot read or forge data of an encrypted store, nor move a session to another user, id, age
or limit: the tag covers these, and the visitor is anonymous with an event. They can end sessions,
prolong the idle clock (never beyond the absolute limit), put an older payload of the same session
back, undo an end by putting the row back, and lift a log-out-everywhere: what is merely a row is
theirs. They cannot make a token, since tokens are signed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from openclaw_middleware import SessionSettings, StoreError
from openclaw_middleware.core import events as ev
from openclaw_middleware.core.record import Record
from openclaw_middleware.runtime import Runtime
from tests.core.lab import Browser, Lab

COVERED: dict[str, Callable[[Record], Any]] = {
    "user_id": lambda r: "bob",
    "created_at": lambda r: r.created_at + 1e-6,
    "authenticated_at": lambda r: (r.authenticated_at or 0) + 60,
    "idle_timeout": lambda r: r.idle_timeout * 2,
    "absolute_timeout": lambda r: r.absolute_timeout + 1,
    "policy": lambda r: "remember",
    "payload": lambda r: r.payload[:-1] + bytes([r.payload[-1] ^ 1]),
}


def session(lab: Lab, user: str | None = "ada") -> tuple[Browser, Record]:
    """A browser with a session, and its record."""
    browser = lab.browser()
    if user is None:
        browser.visit(note="mine")
    else:
        browser.sign_in(user)
        browser.visit(note="mine")
    return browser, records(lab)[browser.request().session.id]


def records(lab: Lab) -> dict[str, Record]:
    """What lies in the store."""
    return lab.store.state.records  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("field", sorted(COVERED))
@pytest.mark.parametrize("encrypted", [False, True])
def test_what_the_tag_covers_is_refused_with_an_event(field: str, encrypted: bool) -> None:
    """Anonymous, nothing adopted, nothing deleted, and the operator is told."""
    keys = {"encryption_keys": ["jZ8v3rXw5bQeY1nTgJ7uLdHsCfA2iOo9RaNqEyVtKx0"]}
    lab = Lab(**(keys if encrypted else {}))
    browser, record = session(lab)
    records(lab)[record.id] = replace(record, **{field: COVERED[field](record)})

    assert browser.user() is None
    assert browser.data() == {}
    assert lab.told(ev.RecordUnreadable)
    assert record.id in records(lab)
    records(lab)[record.id] = record
    assert browser.data() == {"note": "mine"}


@pytest.mark.parametrize("user", ["ada", "bob", None])
def test_a_payload_of_another_session_is_refused(user: str | None) -> None:
    """Of the same user, of another one, and of a visitor."""
    lab = Lab()
    browser, record = session(lab)
    _, other = session(lab, user)
    records(lab)[record.id] = replace(record, payload=other.payload)

    assert browser.user() is None
    assert lab.told(ev.RecordUnreadable)


def test_a_record_under_another_id_is_refused() -> None:
    """A whole row copied over somebody else's, id adjusted."""
    lab = Lab()
    browser, victim = session(lab)
    _, other = session(lab, "bob")
    records(lab)[victim.id] = replace(other, id=victim.id, secret_hash=victim.secret_hash)

    assert browser.user() is None


def test_a_merge_never_takes_in_a_forged_record() -> None:
    """A conflict hands over the altered record: the request fails, nothing of it is written."""
    lab = Lab()
    browser, _ = session(lab)
    slow = browser.request()
    slow.session["x"] = 1
    browser.visit(y=1)
    current = records(lab)[slow.session.id]
    forged = replace(current, payload=current.payload[:-1] + b"\x00")
    records(lab)[current.id] = forged

    with pytest.raises(StoreError):
        slow.finish()
    assert records(lab)[current.id] == forged


def test_a_signed_token_cannot_be_had_from_the_store() -> None:
    """Whoever plants a secret's hash still has no signature for a token with it."""
    lab = Lab()
    _, record = session(lab)
    import hashlib

    records(lab)[record.id] = replace(record, secret_hash=hashlib.sha256(b"S" * 43).digest())
    guess = Browser(lab, f"{record.id}.0.{'S' * 43}")

    assert guess.user() is None
    assert lab.told(ev.CookieRejected)


def test_what_a_store_writer_can_do() -> None:
    """End a session, prolong the idle clock up to the absolute limit, roll its data back."""
    lab = Lab()
    browser, record = session(lab)
    browser.visit(note="newer")
    current = records(lab)[record.id]
    records(lab)[record.id] = replace(current, payload=record.payload)
    assert browser.data() == {"note": "mine"}

    lab.clock.advance(3000)
    assert browser.user() is None
    records(lab)[record.id] = replace(record, last_active_at=lab.clock())
    assert browser.user() == "ada"
    lab.clock.advance(28800)
    records(lab)[record.id] = replace(record, last_active_at=lab.clock())
    assert browser.user() is None

    del records(lab)[record.id]
    assert browser.user() is None


# -- any column, any value


GARBAGE: list[Any] = [
    None,
    "",
    "x",
    "ada",
    "nan",
    "inf",
    "-1",
    0,
    -1,
    1e300,
    2**62,
    b"",
    b"\x00\xff",
]


KINDS: dict[str, tuple[type, ...]] = {
    "VARCHAR": (str,),
    "TEXT": (str,),
    "BLOB": (bytes,),
    "BIGINT": (int,),
    "INTEGER": (int,),
    "DOUBLE": (int, float),
}


def visit(runtime: Runtime, cookie: str, *, login: str | None = None) -> Any:
    """A request that reads, writes and touches; its user, its data and its new cookie."""
    exchange = runtime.exchange(cookie, "/", "GET", lambda name: None)
    assert exchange is not None
    session = runtime.session(exchange, blocking=True)
    if login:
        session.login(login)
    seen = (session.user_id, session.to_dict())
    session["n"] = session.get("n", 0) + 1
    session.keep_alive()
    runtime.blocking.commit(exchange)
    if exchange.touch_due():
        runtime.blocking.touch(exchange)
    token = (exchange.cookie or "").partition(";")[0]
    return seen, token


def safely(runtime: Runtime, cookie: str) -> Any:
    """Who is let in, or the store error it came to; anything else is raised."""
    try:
        return visit(runtime, cookie)[0]
    except StoreError as error:
        return error


@pytest.fixture
def sqlite_site(tmp_path: Path) -> Iterator[tuple[Runtime, sqlite3.Connection]]:
    settings = SessionSettings.for_tests(
        store=f"sqlite:///{tmp_path}/s.db", store_timeout=20, rotation_interval=300
    )
    runtime = Runtime(settings)
    connection = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    yield runtime, connection
    connection.close()
    runtime.blocking.store.close()


@pytest.mark.parametrize("fitting", [True, False])
def test_any_column_of_a_database_may_hold_anything(
    sqlite_site: tuple[Runtime, sqlite3.Connection], fitting: bool
) -> None:
    """Every column set to every odd value (of its own type; of another one, where the engine lets
    that happen): the same user, nobody, or a store error; no crash."""
    runtime, connection = sqlite_site
    told: list[ev.Event] = []
    runtime.desk.events.add([told.append])
    _, cookie = visit(runtime, "", login="ada")
    [row] = connection.execute("SELECT * FROM openclaw_sessions").fetchall()
    columns = connection.execute("PRAGMA table_info(openclaw_sessions)").fetchall()
    places = ", ".join("?" * len(row))
    wrong = []
    for _, name, declared, *_ in columns:
        for value in GARBAGE:
            if (type(value) in KINDS[declared.partition("(")[0]]) is not fitting:
                continue
            connection.execute("DELETE FROM openclaw_sessions")
            connection.execute(f"INSERT INTO openclaw_sessions VALUES ({places})", row)
            try:
                connection.execute(f"UPDATE openclaw_sessions SET {name} = ?", (value,))
            except sqlite3.IntegrityError:
                continue
            [[stored]] = connection.execute(f"SELECT {name} FROM openclaw_sessions").fetchall()
            told.clear()
            try:
                found = safely(runtime, cookie)
                runtime.blocking.store.sessions_of(runtime.desk.tag("ada"))
            except Exception as error:
                wrong.append(f"{name}={value!r}: {type(error).__name__}: {error}")
                continue
            if not isinstance(found, StoreError):
                assert found in [("ada", {"n": 1}), (None, {})], (name, value, found)
            odd = type(stored) not in KINDS[declared.partition("(")[0]]
            if found == (None, {}) and name != "id" and odd:
                assert any(isinstance(event, ev.RecordUnreadable) for event in told), (name, value)

    assert not wrong, "\n".join(wrong)


def test_any_column_of_a_users_row_may_hold_anything(
    sqlite_site: tuple[Runtime, sqlite3.Connection],
) -> None:
    """Where it cannot be known whether the user was logged out everywhere, nobody is let in."""
    runtime, connection = sqlite_site
    store = runtime.blocking.store
    _, cookie = visit(runtime, "", login="ada")
    [row] = connection.execute("SELECT * FROM openclaw_users").fetchall()
    columns = connection.execute("PRAGMA table_info(openclaw_users)").fetchall()
    places = ", ".join("?" * len(row))
    for _, name, *_ in columns:
        for value in GARBAGE:
            connection.execute("DELETE FROM openclaw_users")
            connection.execute(f"INSERT INTO openclaw_users VALUES ({places})", row)
            try:
                connection.execute(f"UPDATE openclaw_users SET {name} = ?", (value,))
            except sqlite3.IntegrityError:
                continue
            [[stored]] = connection.execute(f"SELECT {name} FROM openclaw_users")
            unreadable = name == "not_before" and not isinstance(stored, int | float)
            found = safely(runtime, cookie)
            if not isinstance(found, StoreError):
                assert found[0] in ("ada", None), (name, value, found)
                assert not (unreadable and found[0]), (name, value)
            try:
                visit(runtime, "", login="ada")
            except StoreError:
                runtime.blocking.breaker.reset()
            else:
                assert not unreadable, (name, value)
            store.sessions_of(runtime.desk.tag("ada"))
            connection.execute("UPDATE openclaw_users SET purge_at = 0")
            store.purge_expired()


def test_any_field_of_a_redis_hash_may_hold_anything(redis_url: str, namespace: str) -> None:
    """Every field of every key set to every odd value, dropped, or the key of another kind."""
    runtime = Runtime(
        SessionSettings.for_tests(
            store=redis_url, namespace=namespace, store_timeout=20, rotation_interval=300
        )
    )
    told: list[ev.Event] = []
    runtime.desk.events.add([told.append])
    _, cookie = visit(runtime, "", login="ada")
    client = redis.Redis.from_url(redis_url)
    [key] = client.scan_iter(f"{namespace}:*:s:*")
    row = client.hgetall(key)
    texts = [
        b"",
        b"x",
        b"nan",
        b"inf",
        b"-inf",
        b"-1",
        b"0",
        b"1e999",
        b"9" * 400,
        b"\x00\xff",
        None,
    ]
    wrong = []
    for field in [*row, b"new"]:
        for text in texts:
            client.delete(key)
            client.hset(key, mapping=row)
            if text is None:
                client.hdel(key, field)
            else:
                client.hset(key, field, text)
            told.clear()
            try:
                found = safely(runtime, cookie)
            except Exception as error:
                wrong.append(f"{field!r}={text!r}: {type(error).__name__}: {error}")
                continue
            runtime.blocking.breaker.reset()
            if not isinstance(found, StoreError):
                assert found in [("ada", {"n": 1}), (None, {})], (field, text, found)
            if text == b"x" and found == (None, {}) and field not in (b"s", b"w"):
                assert any(isinstance(event, ev.RecordUnreadable) for event in told), field
    for make in (client.set, client.lpush, client.sadd):
        client.delete(key)
        make(key, "x")
        told.clear()
        found = safely(runtime, cookie)
        assert found == (None, {})
        assert any(isinstance(event, ev.RecordUnreadable) for event in told)
        runtime.blocking.breaker.reset()
    client.close()
    runtime.blocking.store.close()

    assert not wrong, "\n".join(wrong)
