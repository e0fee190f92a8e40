"""What the middleware adds to a request: microseconds over the bare application, same run.

Rows: no cookie, cookie but untouched, one read, one write; over a bare ASGI and WSGI application,
and over bare Starlette, Flask and Django (`bench_frameworks`). On memory and Redis, next to a raw
GET and a raw Lua call by the same client in the same loop. Loopback only; a fixed number of calls;
nothing is asserted, ratios are what to look at.
"""

from __future__ import annotations

import asyncio
import io
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from openclaw_middleware import SessionManager, SessionSettings
from openclaw_middleware.asgi import SessionMiddleware
from openclaw_middleware.testing.clients import login
from openclaw_middleware.wsgi import SessionMiddleware as WSGISessionMiddleware

ROUNDS = 7
CALLS = {"memory": 2000, "redis": 600}


ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "QUERY_STRING": "",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "127.0.0.1",
    "HTTP_HOST": "localhost",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.input": io.BytesIO(),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": False,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    act(scope["path"], scope.get("session"))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def wsgi_app(environ: Any, start_response: Any) -> Iterable[bytes]:
    act(environ["PATH_INFO"], environ.get("openclaw.session"))
    start_response("200 OK", [])
    return [b"ok"]


counter = iter(range(10**9))


def act(path: str, session: Any) -> None:
    if session is None:
        return
    if path == "/read":
        session["name"]
    elif path == "/write":
        session["n"] = next(counter)


class Jar:
    """The least that `testing.login` needs of a client."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.header = ""

    def set_cookie(self, name: str, value: str) -> None:
        self.header = f"{name}={value}"


async def nothing() -> Any:
    return {"type": "http.request", "body": b""}


async def swallow(message: Any) -> None:
    return None


def scope(path: str, cookie: str) -> dict[str, Any]:
    headers = [(b"host", b"localhost"), (b"accept", b"*/*"), (b"user-agent", b"bench")]
    if cookie:
        headers.append((b"cookie", cookie.encode()))
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": headers,
        "client": None,
    }


async def asgi_time(app: Any, path: str, cookie: str, calls: int) -> float:
    best: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(calls):
            await app(scope(path, cookie), nothing, swallow)
        best.append((time.perf_counter() - began) / calls * 1e6)
    return min(best)


def wsgi_time(app: Any, path: str, cookie: str, calls: int) -> float:
    best: list[float] = []
    environ = {**ENVIRON, "PATH_INFO": path}
    if cookie:
        environ["HTTP_COOKIE"] = cookie
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(calls):
            body = app(dict(environ), lambda *given: lambda data: None)
            for _ in body:
                pass
            close = getattr(body, "close", None)
            if close:
                close()
        best.append((time.perf_counter() - began) / calls * 1e6)
    return min(best)


async def timed(call: Callable[[], Awaitable[Any]], calls: int) -> float:
    best: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(calls):
            await call()
        best.append((time.perf_counter() - began) / calls * 1e6)
    return min(best)


def settings(url: str) -> SessionSettings:
    return SessionSettings.for_tests(store=url)


def rows(cookie: str) -> list[tuple[str, str, str]]:
    return [
        ("no cookie", "/", ""),
        ("untouched", "/", cookie),
        ("read", "/read", cookie),
        ("write", "/write", cookie),
    ]


async def asgi(url: str, engine: str) -> None:
    calls = CALLS[engine]
    app = SessionMiddleware(asgi_app, settings(url))
    lazy = SessionMiddleware(asgi_app, app.runtime, load="lazy")
    jar = Jar(app)
    await asyncio.to_thread(login, jar, "ada", name="Ada Lovelace", cart=[1, 2, 3])
    for label, path, cookie in rows(jar.header):
        bare = await asgi_time(asgi_app, path, cookie, calls)
        full = await asgi_time(app, path, cookie, calls)
        line = f"  asgi  {engine:7} {label:10} bare {bare:7.2f}  added {full - bare:8.2f} µs"
        if label == "untouched":
            untouched = await asgi_time(lazy, path, cookie, calls)
            line += f"  (lazy: {untouched - bare:.2f})"
        print(line)
    if engine == "redis":
        import redis.asyncio as redis

        client = redis.Redis.from_url(url)
        await client.set("bench", b"x" * 1000)
        get = await timed(lambda: client.get("bench"), calls)
        print(f"  asgi  redis   raw GET 1 kB {get:17.2f} µs")
        script = await client.script_load("return redis.call('GET', KEYS[1])")
        raw = await timed(lambda: client.evalsha(script, 1, "bench"), calls)
        print(f"  asgi  redis   raw EVALSHA  {raw:17.2f} µs")
        await client.aclose()
    await app.runtime.asynchronous.store.close()


def wsgi(url: str, engine: str) -> None:
    calls = CALLS[engine]
    app = WSGISessionMiddleware(wsgi_app, settings(url))
    jar = Jar(app)
    login(jar, "ada", name="Ada Lovelace", cart=[1, 2, 3])
    for label, path, cookie in rows(jar.header):
        bare = wsgi_time(wsgi_app, path, cookie, calls)
        full = wsgi_time(app, path, cookie, calls)
        print(f"  wsgi  {engine:7} {label:10} bare {bare:7.2f}  added {full - bare:8.2f} µs")
    if engine == "redis":
        import redis

        client = redis.Redis.from_url(url)
        client.set("bench", b"x" * 1000)
        best = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            for _ in range(calls):
                client.get("bench")
            best.append((time.perf_counter() - began) / calls * 1e6)
        median = statistics.median(best)
        print(f"  wsgi  redis   raw GET 1 kB {min(best):17.2f} µs (median {median:.2f})")
        client.close()
    SessionManager(app.runtime).close()


def main(redis_url: str | None) -> None:
    """Print the table; without a Redis, its half is left out."""
    from tests.bench import bench_frameworks  # which measures with what is in here

    print("microseconds per request, best of several rounds")
    for url, engine in (("memory://", "memory"), (redis_url, "redis")):
        if url is None:
            print("  redis: not measured, no server given")
            continue
        asyncio.run(asgi(url, engine))
        wsgi(url, engine)
        bench_frameworks.main(url, engine)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
