"""What the heartbeat costs the server: microseconds a request, beside a plain read of the session.

Rows: a bare application; a read; `status`; a heartbeat that comes too early to extend anything, and
one that extends. Over ASGI and WSGI, on memory and Redis, a round of each in turn; ratios are what
to look at.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from openclaw_middleware import SessionManager, SessionSettings
from openclaw_middleware.asgi import SessionMiddleware
from openclaw_middleware.testing.clients import login
from openclaw_middleware.wsgi import SessionMiddleware as WSGISessionMiddleware

from .bench_requests import CALLS, ENVIRON, ROUNDS, Jar, asgi_app, nothing, scope, wsgi_app

PREFIX = "/_session/"
ROWS = (
    # label, method, path, application, what the answer says of an extension
    ("bare", "GET", "/read", "bare", None),
    ("read", "GET", "/read", "usual", None),
    ("status", "GET", f"{PREFIX}status", "usual", None),
    ("too early", "POST", f"{PREFIX}heartbeat", "usual", False),
    ("extending", "POST", f"{PREFIX}heartbeat", "keen", True),
)
SHORT = 10 * ROUNDS
"""Rounds: many and short, so that some fall into quiet moments of a busy machine."""

Answers = dict[str, bytes]


def settings(url: str, app: str) -> SessionSettings:
    """The usual ones, and those by which every heartbeat is worth a write."""
    given: Any = {"touch_interval": 1e-6} if app == "keen" else {}
    return SessionSettings.for_tests(store=url, enable_heartbeat=True, **given)


async def asgi(url: str, engine: str) -> None:
    apps = {name: SessionMiddleware(asgi_app, settings(url, name)) for name in ("usual", "keen")}
    jars = {name: Jar(app) for name, app in apps.items()}
    for jar in jars.values():
        await asyncio.to_thread(login, jar, "ada", name="Ada Lovelace", cart=[1, 2, 3])
    answers: Answers = {}

    def call(label: str, method: str, path: str, name: str) -> Callable[[], Awaitable[None]]:
        app: Any = apps.get(name, asgi_app)
        request = scope(path, jars[name].header if name in jars else "") | {"method": method}
        request["headers"].append((b"x-session-client", b"1"))

        async def keep(message: Any) -> None:
            answers[label] = message.get("body", b"")

        return lambda: app(dict(request), nothing, keep)

    calls = {row[0]: call(*row[:4]) for row in ROWS}
    best = dict.fromkeys(calls, float("inf"))
    count = CALLS[engine] // 20
    for _ in range(SHORT):
        for label, once in calls.items():
            began = time.perf_counter()
            for _ in range(count):
                await once()
            best[label] = min(best[label], (time.perf_counter() - began) / count)
    show("asgi", engine, best, answers)
    for app in apps.values():
        await app.runtime.asynchronous.store.close()


def wsgi(url: str, engine: str) -> None:
    apps = {
        name: WSGISessionMiddleware(wsgi_app, settings(url, name)) for name in ("usual", "keen")
    }
    jars = {name: Jar(app) for name, app in apps.items()}
    for jar in jars.values():
        login(jar, "ada", name="Ada Lovelace", cart=[1, 2, 3])
    answers: Answers = {}

    def call(label: str, method: str, path: str, name: str) -> Callable[[], None]:
        app: Any = apps.get(name, wsgi_app)
        environ = {**ENVIRON, "REQUEST_METHOD": method, "PATH_INFO": path}
        environ["HTTP_X_SESSION_CLIENT"] = "1"
        if name in jars:
            environ["HTTP_COOKIE"] = jars[name].header

        def once() -> None:
            answers[label] = b"".join(app(dict(environ), lambda *given: None))

        return once

    calls = {row[0]: call(*row[:4]) for row in ROWS}
    best = dict.fromkeys(calls, float("inf"))
    count = CALLS[engine] // 20
    for _ in range(SHORT):
        for label, once in calls.items():
            began = time.perf_counter()
            for _ in range(count):
                once()
            best[label] = min(best[label], (time.perf_counter() - began) / count)
    show("wsgi", engine, best, answers)
    for app in apps.values():
        SessionManager(app.runtime).close()


def show(kind: str, engine: str, best: dict[str, float], answers: Answers) -> None:
    """Print a table, if the answers are those that were meant."""
    floor = best["bare"]
    for label, _, path, _, extended in ROWS:
        if path.startswith(PREFIX):
            answer = json.loads(answers[label])
            assert (answer["state"], answer.get("extended")) == ("active", extended)
        added = best[label] - floor
        ratio = added / (best["read"] - floor)
        line = f"  {kind} {engine:7} {label:10} added {added * 1e6:8.2f} µs  {ratio:4.2f} x a read"
        print(line if label != "bare" else f"  {kind} {engine:7} bare {floor * 1e6:12.2f} µs")


def main(redis_url: str | None) -> None:
    """Print the tables; without a Redis, its half is left out."""
    print("the heartbeat: microseconds per request over the bare application, best of some rounds")
    for url, engine in (("memory://", "memory"), (redis_url, "redis")):
        if url is not None:
            asyncio.run(asgi(url, engine))
            wsgi(url, engine)


if __name__ == "__main__":
    main(None)
