"""A resolver that does not answer: bounded as any silence is, with one thread a name (P8)."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from openclaw_middleware import StoreUnavailable
from openclaw_middleware.core import deadline
from openclaw_middleware.stores.base import StoreOptions
from openclaw_middleware.stores.name_lookup import await_name
from openclaw_middleware.stores.url import open_store
from tests.fire.ordeal import wait_for
from tests.server_process import free_port

HOST = "store.example"
TIMEOUT = 0.5
BOUND = TIMEOUT + 1.0  # a busy machine; the resolver would take far longer
URLS = {
    "redis": "redis://{host}:{port}/0",
    "rediss": "rediss://{host}:{port}/0",
    "postgres": "postgresql://ada:secret@{host}:{port}/openclaw",
    "mariadb": "mysql://ada:secret@{host}:{port}/openclaw",
}


class Resolver:
    """In place of the system's; knows only what the test tells it."""

    def __init__(self) -> None:
        self.usual = socket.getaddrinfo
        self.answer = threading.Event()
        self.known = False
        self.asked = 0

    def __call__(self, host, port, *args, **named):
        if host not in (HOST, HOST.encode()):
            return self.usual(host, port, *args, **named)
        self.asked += 1
        self.answer.wait(20)
        if not self.known:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return self.usual("127.0.0.1", port, *args, **named)


@pytest.fixture
def resolver(monkeypatch):
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    yield resolver
    resolver.answer.set()
    wait_for(lambda: not lookups())


def lookups():
    return [thread for thread in threading.enumerate() if "looks up" in thread.name]


def failure(call):
    """What the call failed with, and after how many seconds."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as raised:
        call()
    return str(raised.value), time.monotonic() - began


@pytest.mark.parametrize("engine", URLS)
def test_blocking_clients_wait_no_longer_than_they_may(resolver, engine):
    url = URLS[engine].format(host=HOST, port=free_port())
    store = open_store(url, StoreOptions(timeout=TIMEOUT), "sync")
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(failure, lambda: store.load("a.b")) for _ in range(4)]
        found = [call.result() for call in calls]
    assert all(seconds < BOUND for _, seconds in found), found
    assert (resolver.asked, len(lookups())) == (1, 1)

    # The answer is that there is none: told at once, without another lookup by the library.
    resolver.answer.set()
    wait_for(lambda: not lookups())
    text, seconds = failure(lambda: store.load("a.b"))
    assert "resolution" in text
    assert seconds < BOUND
    assert resolver.asked == 2

    # And then it is known, though nobody listens there.
    resolver.known = True
    text, _ = failure(lambda: store.load("a.b"))
    assert "refused" in text
    store.close()


@pytest.mark.parametrize("engine", URLS)
def test_asyncio_clients_wait_no_longer_and_leave_the_applications_threads_alone(resolver, engine):
    url = URLS[engine].format(host=HOST, port=free_port())

    async def fail(store):
        with pytest.raises(StoreUnavailable) as raised:
            await store.load("a.b")
        return str(raised.value)

    async def calls():
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
        store = open_store(url, StoreOptions(timeout=TIMEOUT), "async")
        impatient = asyncio.create_task(store.load("a.b"))
        began = time.monotonic()
        waiting = asyncio.gather(*(fail(store) for _ in range(4)))
        await asyncio.sleep(0.1)
        impatient.cancel()
        await waiting
        assert time.monotonic() - began < BOUND
        assert (resolver.asked, len(lookups())) == (1, 1)
        async with asyncio.timeout(BOUND):
            assert await asyncio.to_thread(int) == 0

        resolver.answer.set()
        await asyncio.to_thread(wait_for, lambda: not lookups())
        assert "resolution" in await fail(store)
        resolver.known = True
        assert re.search("refused|Connect call failed", await fail(store))
        await store.close()

    asyncio.run(calls())


@pytest.mark.parametrize("host", ["", "localhost", "127.0.0.1", "::1", "fe80::1%eth0", "/run/pg"])
def test_what_is_no_name_is_not_looked_up(resolver, host):
    await_name(host)
    assert not lookups()


def test_of_several_hosts_one_may_be_unknown(resolver):
    """PostgreSQL's library goes on to the next, where a fallen server has lost its name."""
    resolver.answer.set()
    port = free_port()
    hosts = f"host={HOST}:{port}&host=127.0.0.1:{port}"
    url = f"postgresql://ada:secret@/openclaw?{hosts}"
    store = open_store(url, StoreOptions(), "sync")
    text, _ = failure(lambda: store.load("a.b"))
    assert "refused" in text
    store.close()

    async def call():
        store = open_store(url, StoreOptions(), "async")
        with pytest.raises(StoreUnavailable, match="refused"):
            await store.load("a.b")
        await store.close()

    asyncio.run(call())


def test_a_process_without_a_thread_to_spare_is_told_at_once_and_recovers(resolver, monkeypatch):
    resolver.answer.set()
    resolver.known = True

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(OSError, match="new thread"):
            await_name(HOST)
    begun = deadline.begin(5)
    await_name(HOST)
    deadline.end(begun)
    assert resolver.asked == 1


def test_a_lookup_of_the_parent_is_not_waited_for_in_its_child(resolver, monkeypatch):
    begun = deadline.begin(0.01)
    with pytest.raises(TimeoutError):
        await_name(HOST)
    deadline.end(begun)
    monkeypatch.setattr("os.getpid", lambda: -1)
    resolver.answer.set()
    resolver.known = True
    await_name(HOST)
    assert resolver.asked == 2
