"""Real servers for the site of the moment, and a browser that speaks HTTP to them."""

from __future__ import annotations

import http.client
import json
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import uvicorn

from .places import SECRET, Place
from .visits import COOKIE, PATIENCE, Answer

ROOT = Path(__file__).parents[2]


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Threaded(socketserver.ThreadingMixIn, WSGIServer):
    request_queue_size = 128
    daemon_threads = True


@contextmanager
def wsgi_server(app: Any) -> Iterator[int]:
    """The application under the standard library's server, a thread for each connection."""
    with _Threaded(("127.0.0.1", 0), _Quiet) as server:
        server.set_app(app)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(PATIENCE)


@contextmanager
def asgi_server(app: Any) -> Iterator[int]:
    """The application under uvicorn, on an event loop in a thread."""
    config = uvicorn.Config(app, port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + PATIENCE
    while not server.started:
        assert time.monotonic() < deadline
        assert thread.is_alive()
        time.sleep(0.005)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


@contextmanager
def server_process(kind: str, place: Place) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The pages of `serve` in a process of their own, and their URL."""
    command = [sys.executable, "-m", "tests.fire.serve", kind, place.url, place.namespace, SECRET]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process, f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.stdin.close()


class Browser:
    """Keeps one connection and one cookie."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        assert where.hostname is not None
        self._wire = http.client.HTTPConnection(where.hostname, where.port, timeout=PATIENCE)
        self.cookie: str | None = None

    def get(self, path: str, **headers: str) -> Answer:
        """A request; the cookie it sets is kept."""
        if self.cookie is not None:
            headers["Cookie"] = f"{COOKIE}={self.cookie}"
        began = time.monotonic()
        self._wire.request("GET", path, headers=headers)
        response = self._wire.getresponse()
        body = response.read()
        found = tuple((name.lower(), value) for name, value in response.getheaders())
        answer = Answer(response.status, found, body, time.monotonic() - began)
        for line in answer.ours:
            self.cookie = None if answer.clears else line.partition(";")[0].partition("=")[2]
        return answer

    def ask(self, path: str) -> Any:
        """A request that must succeed; what it answers."""
        answer = self.get(path)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    @property
    def session_id(self) -> str | None:
        """The public id the cookie names; it stays when the secret is rotated."""
        return None if self.cookie is None else self.cookie.rsplit(".", 3)[0]

    def close(self) -> None:
        self._wire.close()
