"""What the Redis tests share: a bench on a URL, a proxy that loses replies, a small Cluster whose
successions can be broken off between any two steps."""

from __future__ import annotations

import inspect
import socket
import threading
import time
from contextlib import contextmanager, suppress
from functools import partial

import redis
import redis.asyncio

from openclaw_middleware.stores import redis_wire as wire
from openclaw_middleware.stores.base import StoreOptions
from openclaw_middleware.stores.redis import AsyncRedisStore, RedisStore
from openclaw_middleware.testing.conformance import Bench
from tests.server_engines import REDIS
from tests.server_process import free_port


def store_of(source, options=None, colour="sync"):
    return (RedisStore if colour == "sync" else AsyncRedisStore)(source, options or StoreOptions())


def bench_on(source, colour, **options):
    """A bench on a URL, or on clients given as a function of the colour."""

    def make(colour, options):
        return store_of(source(colour) if callable(source) else source, options, colour)

    return Bench(make, colour, options=StoreOptions(**{"timeout": 30.0, **options}))


def keys_of(bench, record):
    """The names of the record's key, its user's hash and index."""
    return bench.store._keys(record.id)


class LossyProxy:
    """Passes bytes to a server, and at will cuts a connection instead of passing a reply on."""

    def __init__(self, url: str) -> None:
        self._server = redis.connection.parse_url(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{port}/{self._server.get('db', 0)}"
        self.lose = 0
        self.lost = 0
        self.silent = False
        self._lock = threading.Lock()
        self._threads = [self._start(self._accept)]
        self._open: list[socket.socket] = []

    def _start(self, run, *args):
        thread = threading.Thread(target=run, args=args)
        thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection((self._server["host"], self._server["port"]))
            with self._lock:
                self._open += [client, server]
                for source, target, replies in ((client, server, False), (server, client, True)):
                    self._threads.append(self._start(self._pump, source, target, replies))

    def _pump(self, source, target, replies) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if replies and self.silent:
                    continue
                if replies and self._loses(data):
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _loses(self, data: bytes) -> bool:
        with self._lock:
            # a new connection's greetings are short; only answers of verbs are worth losing
            lose = self.lose > 0 and len(data) > 20
            self.lose -= lose
            self.lost += lose
        return lose

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(5)
        for end in self._open:
            end.close()


def start_cluster(servers, size: int = 3):
    """Servers joined to a Cluster of masters, all of which serve all slots."""
    # The usual bus port, 10000 above, lies where the kernel numbers outgoing connections.
    buses = [free_port() for _ in range(size)]
    options = ("--cluster-enabled", "yes", "--cluster-port")
    started = [servers.start(REDIS, *options, str(bus)) for bus in buses]
    nodes = [redis.Redis.from_url(server.url) for server in started]
    share = 16384 // size + 1
    for number, node in enumerate(nodes):
        slots = range(number * share, min((number + 1) * share, 16384))
        node.execute_command("CLUSTER ADDSLOTS", *slots)
        node.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        node.execute_command("CLUSTER MEET", "127.0.0.1", started[0].port, buses[0])
    patience = time.monotonic() + 30
    while not all(_serves_all(node, size) for node in nodes):
        assert time.monotonic() < patience, "the Cluster does not come together"
        time.sleep(0.05)
    for node in nodes:
        node.close()
    return started


def _serves_all(node, size: int) -> bool:
    state = node.execute_command("CLUSTER INFO")
    return (
        state["cluster_state"] == "ok"
        and state["cluster_known_nodes"] == str(size)
        and state["cluster_slots_ok"] == "16384"
    )


@contextmanager
def stepping_cluster(servers):
    """The URL of one node of a Cluster of three that knows the scripts of a succession already,
    so that each of its steps is one call."""
    nodes = start_cluster(servers)
    for node in nodes:
        with redis.Redis.from_url(node.url) as client:
            for verb in ("reserve", "end", "activate", "succeed"):
                client.script_load(wire.script(verb).text)
    yield nodes[0].url
    for node in nodes:
        node.remove()


def stepping_store(url, options=None, colour="sync"):
    """A store on a Cluster, whose client is a `Stepping` one."""
    library = redis if colour == "sync" else redis.asyncio
    client = library.RedisCluster.from_url(url)
    store = store_of(Stepping(client), options, colour)
    store.close = partial(close_cluster, client) if colour == "sync" else client.aclose
    return store


def close_cluster(client):
    """Close a blocking Cluster client; its own `close` leaves the nodes' pools to the collector."""
    for node in client.get_nodes():
        if node.redis_connection is not None:
            node.redis_connection.connection_pool.disconnect()
    client.close()


class Stepping:
    """A Cluster client that calls back before or after the n-th script of a succession."""

    def __init__(self, client):
        self.client = client
        self.hooks = {}
        self.count = 0
        self.gone = None  # an exception: this process is no more, and nothing it tries succeeds

    def __getattr__(self, name):
        return getattr(self.client, name)

    def at(self, step, when, hook):
        """Run `hook` once, `when` ("before" or "after") the step, counted from now from 1 on."""
        self.count = 0
        self.hooks = {(step, when): hook}

    def _hook(self, when):
        hook = self.hooks.pop((self.count, when), None)
        found = hook() if hook else None
        if self.gone is not None:
            raise self.gone
        return found

    def execute_command(self, *args, **options):
        if args[0] != "EVALSHA" and self.gone is None:
            return self.client.execute_command(*args, **options)
        if inspect.iscoroutinefunction(self.client.execute_command):
            return self._awaited(*args)
        self.count += 1
        self._hook("before")
        answer = self.client.execute_command(*args)
        self._hook("after")
        return answer

    async def _awaited(self, *args):
        self.count += 1
        if (pending := self._hook("before")) is not None:
            await pending
        answer = await self.client.execute_command(*args)
        if (pending := self._hook("after")) is not None:
            await pending
        return answer
