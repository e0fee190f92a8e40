"""Sockets while the server of the store is killed, comes back, or stops telling."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import psycopg
import pytest
import redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from openclaw_middleware.core.contract import Ended
from openclaw_middleware.core.record import EndReason
from tests.conftest import Start
from tests.sockets.conftest import Open
from tests.sockets.site import PATIENCE, SOON, Site, until
from tests.sockets.test_endings import calm, closing
from tests.stores.redis_tools import bench_on

pytestmark = pytest.mark.filterwarnings("error")


def killed_listeners(url: str) -> int:
    """Break every connection somebody listens on; how many there were."""
    if url.startswith("redis"):
        with redis.Redis.from_url(url) as server:
            return int(server.execute_command("CLIENT KILL TYPE pubsub"))
    with psycopg.connect(url, autocommit=True) as server:
        found = server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()"
        )
        return len(found.fetchall())


def listeners(url: str) -> int:
    if url.startswith("redis"):
        with redis.Redis.from_url(url) as server:
            return len(server.client_list(_type="pubsub"))
    with psycopg.connect(url, autocommit=True) as server:
        found = server.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
            " AND pid <> pg_backend_pid()"
        ).fetchone()
        assert found is not None
        return int(found[0])


@pytest.fixture(params=["redis", "postgres"])
def server(request: pytest.FixtureRequest) -> Any:
    """A private server that announces, and keeps what it has acknowledged."""
    start: Start = request.getfixturevalue(f"private_{request.param}")
    options = ("--appendonly", "yes", "--appendfsync", "always")
    return start(*options) if request.param == "redis" else start()


def talk(socket: Any) -> None:
    socket.send("[1]")
    assert socket.recv(timeout=PATIENCE) == "[1]"


class TestServers:
    def test_sockets_outlive_the_stores_server(self, server: Any, open_site: Open) -> None:
        """Killed and back: the sockets are open all the time, and then end as they should."""
        site = open_site(store=server.url, store_timeout=2, socket_poll_interval=0.5)
        session_id, cookie = site.sign_in("ada")
        with site.socket(cookie) as one, site.socket(cookie) as other:
            one.recv()
            other.recv()
            server.kill()
            until(lambda: not site.watch._hearing.hears)
            for _ in range(20):  # over several rounds that get no answer
                talk(one)
                talk(other)
                time.sleep(0.1)
            server.start()
            until(lambda: site.watch._hearing.hears)
            talk(one)
            site.manager.revoke(session_id)
            began = time.monotonic()
            assert closing(one) == closing(other) == (4401, "revoked")
            assert time.monotonic() - began < SOON
        calm(site)

    def test_the_absolute_deadline_needs_no_server(self, server: Any, open_site: Open) -> None:
        site = open_site(
            store=server.url,
            store_timeout=2,
            socket_poll_interval=0.5,
            idle_timeout=4,
            absolute_timeout=4,
        )
        _, cookie = site.sign_in("ada")
        began = time.monotonic()
        with site.socket(cookie) as socket:
            socket.recv()
            server.kill()
            assert closing(socket) == (4401, "absolute")
            assert 3.9 < time.monotonic() - began < 4 + SOON
        calm(site)

    def test_what_ended_while_the_listener_was_gone(self, server: Any, open_site: Open) -> None:
        """The connection breaks, and the announcement falls into the gap."""
        site = open_site(store=server.url, socket_poll_interval=60)
        for _ in range(3):
            session_id, cookie = site.sign_in("ada")
            with site.socket(cookie) as socket:
                socket.recv()
                assert killed_listeners(server.url) == 1
                site.manager.revoke(session_id)
                began = time.monotonic()
                assert closing(socket) == (4401, "revoked")
                assert time.monotonic() - began < SOON
        calm(site)
        assert listeners(server.url) == 0

    def test_a_server_that_says_nothing_any_more(
        self, server: Any, open_site: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The connection stands, and nobody is at the other end."""
        for module in ("redis_listening", "sql_listening"):
            monkeypatch.setattr(f"openclaw_middleware.stores.{module}.SILENCE", 0.3)
        site = open_site(store=server.url, store_timeout=2, socket_poll_interval=60)
        session_id, cookie = site.sign_in("ada")
        with site.socket(cookie) as socket:
            socket.recv()
            time.sleep(1)  # pings that are answered
            assert site.watch._hearing.hears
            server.pause()
            until(lambda: not site.watch._hearing.hears)
            talk(socket)
            server.resume()
            until(lambda: site.watch._hearing.hears)
            site.manager.revoke(session_id)
            assert closing(socket) == (4401, "revoked")

    def test_five_hundred_sockets_have_one_listener(
        self, server: Any, open_site: Open, record_property: Any
    ) -> None:
        """Fifty sessions of one user, ten sockets each; all go with one call."""
        site = open_site(store=server.url, socket_poll_interval=60)
        cookies = [site.sign_in("ada")[1] for _ in range(50)]
        before = threading.active_count()

        async def main() -> float:
            opening = [_opened(site, cookies[n % 50]) for n in range(500)]
            sockets = []
            for some in range(0, 500, 50):
                sockets += await asyncio.gather(*opening[some : some + 50])
            await asyncio.to_thread(until, lambda: len(site.watch._held) == 500 and site.at_ease)
            assert len(site.watch._sessions) == 50
            assert len(site.watch._tasks) == 2
            assert listeners(server.url) == 1
            closings = asyncio.gather(*map(_closed, sockets))
            await asyncio.to_thread(site.manager.revoke_user, "ada")
            began = time.monotonic()
            assert set(await closings) == {(4401, "revoked")}
            return time.monotonic() - began

        took = asyncio.run(main())
        record_property("500 sockets closed", f"{took:.2f} s")
        print(f"500 sockets closed in {took:.2f} s")
        calm(site)
        assert listeners(server.url) == 0
        assert threading.active_count() <= before
        assert took < 2 * SOON


async def _opened(site: Site, cookie: str) -> ClientConnection:
    return await connect(
        f"ws://127.0.0.1:{site.port}/socket",
        additional_headers={"Cookie": cookie},
        ping_interval=None,
        open_timeout=PATIENCE,
    )


async def _closed(socket: ClientConnection) -> tuple[int, str] | None:
    try:
        while True:
            await asyncio.wait_for(socket.recv(), PATIENCE)
    except ConnectionClosed as closed:
        return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else None


class TestRefusals:
    """A verb is never the worse for an announcement."""

    @pytest.fixture
    def redis_server(self, private_redis: Start) -> Any:
        return private_redis()

    def test_a_full_redis_ends_and_announces(self, redis_server: Any, open_site: Open) -> None:
        site = open_site(store=redis_server.url, socket_poll_interval=60)
        one, one_cookie = site.sign_in("ada")
        _, two_cookie = site.sign_in("bob")
        with (
            redis.Redis.from_url(redis_server.url) as server,
            site.socket(one_cookie) as first,
            site.socket(two_cookie) as second,
        ):
            server.config_set("maxmemory", 1)
            with pytest.raises(redis.exceptions.OutOfMemoryError):
                server.set("x", "y")
            assert site.manager.revoke(one)
            assert closing(first) == (4401, "revoked")
            assert site.manager.revoke_user("bob") == 1
            assert closing(second) == (4401, "revoked")
            server.config_set("maxmemory", 0)

    def test_a_redis_that_forbids_channels_is_asked(
        self, redis_server: Any, open_site: Open, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Ends are as before; they are noticed by the round, and that is said once."""
        with redis.Redis.from_url(redis_server.url) as server:
            server.execute_command(
                "ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "resetchannels"
            )
        url = redis_server.url.replace("redis://", "redis://app:secret@")
        site = open_site(store=url, socket_poll_interval=0.3)
        session_id, cookie = site.sign_in("ada")
        with site.socket(cookie, watched=False) as socket:
            socket.recv()
            until(lambda: caplog.records)
            assert site.manager.revoke(session_id)
            assert closing(socket) == (4401, "revoked")
        assert len(caplog.records) == 1
        assert "asked for, not heard of" in caplog.text


def test_a_ready_client_is_listened_on(fresh_redis_url: str) -> None:
    """And given back as it came: the client is its owner's."""
    made: list[Any] = []

    def client(colour: str) -> Any:
        kind: Any = redis.asyncio.Redis if colour == "async" else redis.Redis
        made.append(kind.from_url(fresh_redis_url))
        return made[-1]

    bench = bench_on(client, "async")

    def body() -> Any:
        heard: list[str | None] = []
        listening = asyncio.ensure_future(bench.store.listen(heard.append))
        record = yield from bench.live("ada")
        while None not in heard:
            yield asyncio.sleep(0.01)
        assert isinstance((yield bench.store.end(record.id, EndReason.REVOKED)), Ended)
        while record.id not in heard:
            yield asyncio.sleep(0.01)
        listening.cancel()
        yield asyncio.wait({listening})
        assert (yield made[0].ping())
        yield made[0].aclose()

    bench.run(body())
