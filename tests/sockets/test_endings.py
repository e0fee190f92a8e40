"""A socket is closed, and a stream ended, when the session is over: how, why, and how soon."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from openclaw_middleware import AsyncSessionManager, EndReason, Policy
from tests.sockets.conftest import ANNOUNCING, SECRET, STORES, Open
from tests.sockets.site import PATIENCE, SOON, Site, until

pytestmark = pytest.mark.filterwarnings("error")

every_store = pytest.mark.parametrize("store_url", STORES, indirect=True)
announcing = pytest.mark.parametrize("store_url", ANNOUNCING, indirect=True)

POLL = 0.1
IN_ANOTHER_PROCESS = """
import sys
from openclaw_middleware import SessionManager, SessionSettings
store, key, session_id = sys.argv[1:]
manager = SessionManager(SessionSettings.for_tests(store=store, secret_key=key))
assert manager.revoke(session_id)
"""


def closing(socket: Any) -> tuple[int, str]:
    """Read until the server closes; the code and reason it gives."""
    frame = None
    try:
        while True:
            socket.recv(timeout=PATIENCE)
    except ConnectionClosed as closed:
        frame = closed.rcvd
    assert frame is not None
    return frame.code, frame.reason


def settings_for(url: str, **settings: Any) -> dict[str, Any]:
    """A poll that takes too long to be what closed a socket, where the store announces."""
    polls = url.startswith(("sqlite", "mysql", "mariadb"))
    return {"store": url, "socket_poll_interval": POLL if polls else 60, **settings}


def calm(site: Site) -> None:
    """Nothing is left in the event loop of what was open."""
    until(lambda: not site.tasks)
    watch = site.watch
    assert not watch._sessions
    assert not watch._held
    assert not watch._hinted
    assert not watch._round


WAYS = (
    "logout",
    "revoke",
    "revoke awaited",
    "revoke elsewhere",
    "everywhere",
    "everyone",
    "others",
)


def end(site: Site, way: str, session_id: str, cookie: str) -> None:
    match way:
        case "logout":
            site.get("/act/out", cookie)
        case "revoke":
            assert site.manager.revoke(session_id)
        case "revoke awaited":
            assert site.call(AsyncSessionManager(site.runtime).revoke(session_id))
        case "revoke elsewhere":
            arguments = [str(site.runtime.settings.store), SECRET, session_id]
            subprocess.run([sys.executable, "-c", IN_ANOTHER_PROCESS, *arguments], check=True)
        case "everywhere":
            site.get("/act/everywhere", cookie)
        case "everyone":
            assert site.manager.revoke_user("ada") == 1
        case "others":
            _, other = site.sign_in("ada")
            site.get("/act/others", other)


REASONS = {"logout": "signed_out", "everywhere": "signed_out", "others": "signed_out"}


@every_store
@pytest.mark.parametrize("way", WAYS)
def test_a_socket_is_closed_when_its_session_ends(
    store_url: str, open_site: Open, way: str
) -> None:
    if way == "revoke elsewhere" and store_url.startswith("memory"):
        pytest.skip("nobody else has this memory")
    site = open_site(**settings_for(store_url))
    session_id, cookie = site.sign_in("ada")
    other = site.sign_in("bob")[1]
    with site.socket(cookie) as socket, site.socket(other) as bystander:
        socket.recv()
        bystander.recv()
        end(site, way, session_id, cookie)
        began = time.monotonic()
        code, reason = closing(socket)
        assert time.monotonic() - began < SOON
        assert (code, reason) == (4401, REASONS.get(way, "revoked"))
        until(lambda: site.pages.log)
        assert site.pages.log == [("socket", 4401, reason)]
        bystander.send('["still", "here"]')
        assert bystander.recv(timeout=PATIENCE) == '["still","here"]'
    calm(site)


@every_store
def test_the_time_from_revoke_to_closed(
    store_url: str, open_site: Open, record_property: Any
) -> None:
    """Twenty trials: in no time where the store announces, else within the poll interval."""
    site = open_site(**settings_for(store_url))
    took = []
    with ExitStack() as stack:
        visits = [site.sign_in(f"user{n}") for n in range(20)]
        sockets = [stack.enter_context(site.socket(cookie)) for _, cookie in visits]
        for (session_id, _), socket in zip(visits, sockets, strict=True):
            socket.recv()
            site.manager.revoke(session_id)
            began = time.monotonic()
            assert closing(socket) == (4401, "revoked")
            took.append(time.monotonic() - began)
    took.sort()
    line = f"median {took[10] * 1000:.1f} ms, longest {took[-1] * 1000:.1f} ms"
    record_property("revoke to closed", line)
    print(site.watch._store.capabilities.name, line)
    assert took[10] < 1
    assert took[-1] < SOON


@every_store
@pytest.mark.parametrize("step", ["regenerate", "again"])
def test_a_socket_goes_on_with_the_same_users_successor(
    store_url: str, open_site: Open, step: str
) -> None:
    """A new id in another tab is no reason to close; the successor's end is."""
    site = open_site(**settings_for(store_url))
    session_id, cookie = site.sign_in("ada")
    with site.socket(cookie) as socket:
        socket.recv()
        (successor, _), cookie = site.get(f"/act/{step}", cookie)
        assert successor != session_id
        until(lambda: successor in site.watch._sessions)
        assert session_id not in site.watch._sessions
        socket.send('["set", "said", "this"]')
        socket.recv()
        socket.send('["save"]')
        socket.recv()
        (_, data), _ = site.get("/act/look", cookie)
        assert data["said"] == "this"
        site.manager.revoke(successor)
        assert closing(socket) == (4401, "revoked")
    calm(site)


@announcing
def test_a_sign_in_closes_the_visitors_sockets(store_url: str, open_site: Open) -> None:
    """What an anonymous visitor opened is not the user's."""
    site = open_site(**settings_for(store_url))
    _, cookie = site.get("/act/visit")
    assert cookie is not None
    with site.socket(cookie) as socket:
        socket.recv()
        site.get("/act/in?user=ada", cookie)
        assert closing(socket) == (4401, "replaced")


@every_store
def test_the_oldest_of_too_many_sessions_is_closed(store_url: str, open_site: Open) -> None:
    site = open_site(**settings_for(store_url, max_sessions_per_user=1))
    _, cookie = site.sign_in("ada")
    with site.socket(cookie) as socket:
        socket.recv()
        site.sign_in("ada")
        assert closing(socket) == (4401, "limit")


@every_store
def test_a_deadline_closes_the_socket(store_url: str, open_site: Open) -> None:
    """By a timer, not by asking: the poll would come much later."""
    site = open_site(
        store=store_url,
        socket_poll_interval=60,
        idle_timeout=3,
        policies={"working": Policy(None, 3)},
    )
    began = time.monotonic()
    _, idle = site.sign_in("ada")
    _, working = site.sign_in("bob&policy=working")
    with site.socket(idle, watched=False) as one, site.socket(working, watched=False) as other:
        one.recv()
        other.recv()
        assert closing(one) == (4401, "idle")
        assert closing(other) == (4401, "absolute")
        assert 2.9 < time.monotonic() - began < 3 + SOON
    calm(site)


@every_store
def test_the_sessions_own_logout_closes_the_socket(store_url: str, open_site: Open) -> None:
    site = open_site(**settings_for(store_url))
    _, cookie = site.sign_in("ada")
    with site.socket(cookie) as socket:
        socket.recv()
        socket.send('["out"]')
        assert closing(socket) == (4401, "signed_out")
    calm(site)


class TestApplications:
    """Whatever an application does with its socket, it is closed and the application is gone."""

    @pytest.mark.parametrize("path", ["/careless", "/broadcast", "/deaf"])
    def test_it_is_taken_out_in_good_order(
        self,
        open_site: Open,
        path: str,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("openclaw_middleware.asgi_sockets.PARTING", 0.3)
        site = open_site(store="memory://")
        session_id, cookie = site.sign_in("ada")
        with site.socket(cookie, path) as socket:
            site.manager.revoke(session_id)
            began = time.monotonic()
            assert closing(socket) == (4401, "revoked")
            assert time.monotonic() - began < SOON
            calm(site)
        assert site.pages.log == (["cancelled"] if path == "/deaf" else [])
        assert caplog.records == []

    def test_without_the_session_it_is_left_alone(self, open_site: Open) -> None:
        site = open_site(store="memory://")
        session_id, cookie = site.sign_in("ada")
        with site.socket(cookie, "/indifferent", watched=False) as socket:
            site.manager.revoke(session_id)
            time.sleep(0.2)  # longer than it takes to be watched
            assert not site.watch._held
            socket.send('"hello"')
            assert socket.recv(timeout=PATIENCE) == '"hello"'

    def test_what_ended_before_it_was_watched(
        self, open_site: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between the handshake and the first look nothing is missed."""
        monkeypatch.setattr("openclaw_middleware.holding.GRACE", 0.5)
        site = open_site(store="memory://", socket_poll_interval=60)
        session_id, cookie = site.sign_in("ada")
        with site.socket(cookie, watched=False) as socket:
            socket.recv()
            site.manager.revoke(session_id)
            began = time.monotonic()
            assert closing(socket) == (4401, "revoked")
            assert time.monotonic() - began < SOON


class TestStreams:
    @every_store
    @pytest.mark.parametrize("pause", ["0.02", "20"], ids=["busy", "silent"])
    def test_an_event_stream_ends_with_an_event(
        self, store_url: str, open_site: Open, pause: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        site = open_site(**settings_for(store_url))
        session_id, cookie = site.sign_in("ada")
        with site.stream(cookie, f"/events?pause={pause}") as response:
            site.manager.revoke(session_id)
            began = time.monotonic()
            body = response.read()
            assert time.monotonic() - began < SOON
            last = b'event: session-ended\ndata: {"reason": "revoked"}\n\n'
            assert body.endswith(b"data: tick\n\n" + last)
            calm(site)
        assert site.pages.log == ["stream left"]
        assert caplog.records == []

    def test_another_stream_ends_where_it_is(self, open_site: Open) -> None:
        """And one of known length comes to its end."""
        site = open_site(store="memory://")
        session_id, cookie = site.sign_in("ada")
        with (
            site.stream(cookie, "/rows") as stream,
            site.stream(cookie, "/rows?length") as download,
        ):
            site.manager.revoke(session_id)
            body = stream.read()
            assert 0 < len(body) < 400
            assert set(body.split()) == {b"row"}
            assert download.read() == b"row\n" * 100

    def test_a_deadline_ends_it(self, open_site: Open) -> None:
        """A stream is no activity after its start, however much it sends."""
        site = open_site(store="memory://", idle_timeout=3)
        _, cookie = site.sign_in("ada")
        with site.stream(cookie) as response:
            began = time.monotonic()
            assert b'"idle"' in response.read()
            assert time.monotonic() - began < 3 + SOON


def test_reasons_fit_into_a_close_frame() -> None:
    assert all(len(reason) <= 123 for reason in EndReason)
