"""One site in a process of its own: `python -m tests.heartbeat.serve KIND PORT`, see `sites.Site`.

The first line of standard input holds the settings; each further one is an order, answered by one
line on standard output. The process ends with its input. Time is the real one, moved on by orders.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import asdict
from typing import Any

import uvicorn
from waitress.server import create_server

from openclaw_middleware import Policy, SessionManager, SessionSettings
from openclaw_middleware.adapters.django.deployment import Deployment
from openclaw_middleware.core import events as ev
from openclaw_middleware.core.steps import Steps
from openclaw_middleware.driver import AsyncDriver, Driver
from openclaw_middleware.errors import StoreUnavailable
from openclaw_middleware.runtime import Runtime, register
from openclaw_middleware.stores.url import open_store
from openclaw_middleware.testing import Fault, wrap

from .site_pages import APPS

ASGI = ("starlette",)


class Outage(Fault):
    """The store is out of reach while `down`."""

    down = False

    def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
        if self.down:
            raise StoreUnavailable("the store is down", store="test", operation=operation)
        answer = yield call()
        return answer


class Control:
    """What a test may do to the site while it serves.

    Args:
        settings: of the sessions; `store` is the path of an SQLite file, `policies` are lists of
            the limits.
    """

    def __init__(self, kind: str, settings: dict[str, Any]) -> None:
        self.offset = float(settings.pop("offset", 0))
        self.seen: list[dict[str, Any]] = []
        self.heard: list[dict[str, Any]] = []
        self.breaks: dict[str, list[Any]] = {}
        self.outage = Outage()
        self.file = settings["store"]
        policies = settings.pop("policies", {})
        made = SessionSettings(
            **{
                "secret_key": "tests only: 5Tn8-qWx2_Lm7vZc4Rb9Ks6yHd3pJg1f",
                "enable_heartbeat": True,
                "login_url": "/login",
                **settings,
                "store": f"sqlite:///{self.file}",
                "policies": {name: Policy(*limits) for name, limits in policies.items()},
            }
        )
        runtime = (Deployment if kind == "django" else Runtime)(
            made, clock=lambda: time.time() + self.offset, listeners=[self._listen]
        )
        options = runtime.options
        runtime._blocking = Driver(wrap(open_store(made.store, options, "sync"), self.outage))
        asynchronous = wrap(open_store(made.store, options, "async"), self.outage)
        runtime._asynchronous = AsyncDriver(asynchronous)
        self.runtime = register(runtime)
        self.manager = SessionManager(made)

    def _listen(self, event: ev.Event) -> None:
        self.heard.append({"event": type(event).__name__, **asdict(event)})

    def note(self, method: str, path: str, query: str, headers: dict[str, str]) -> dict[str, Any]:
        """Write a request down; its `status` is there already when it is to be broken."""
        entry: dict[str, Any] = {"method": method, "path": path, "query": query}
        status, location = self.breaks.get(path, (None, ""))
        entry |= {"headers": headers, "status": status, "location": location}
        self.seen.append(entry)
        return entry

    def obey(self, do: str, **given: Any) -> Any:
        """Carry out one order."""
        return getattr(self, f"do_{do}")(**given)

    def do_advance(self, seconds: float) -> float:
        """Move the server's time on; what it is then."""
        self.offset += seconds
        return time.time() + self.offset

    def do_seen(self) -> list[dict[str, Any]]:
        """All requests so far."""
        return self.seen

    def do_heard(self) -> list[dict[str, Any]]:
        """All events so far."""
        return self.heard

    def do_break(self, path: str, status: int | None, location: str) -> None:
        """Answer requests to this path with a page of that status; None: serve it again."""
        if status is None:
            self.breaks.pop(path, None)
        else:
            self.breaks[path] = [status, location]

    def do_mend(self) -> None:
        """Nothing is broken any more."""
        self.breaks.clear()
        self.outage.down = False

    def do_outage(self, down: bool) -> None:
        """Take the store out of reach, or bring it back."""
        self.outage.down = down

    def do_sessions(self, user: str) -> list[dict[str, Any]]:
        """The live sessions of a user."""
        page = self.manager.sessions_of(user)
        return [{"id": each.id, "active": each.last_active_at} for each in page.items]

    def do_revoke(self, user: str) -> int:
        """End all sessions of a user, as an administrator would."""
        return self.manager.revoke_user(user)

    def do_forget(self, user: str) -> int:
        """Lose the records of a user, as a store that was restored from a backup would."""
        with closing(sqlite3.connect(self.file)) as database, database:
            return database.execute(
                "DELETE FROM openclaw_sessions WHERE user_id = ?", (user,)
            ).rowcount


class AsgiLog:
    """Stands around the application: every request is written down, some are broken."""

    def __init__(self, app: Any, control: Control) -> None:
        self.app, self.control = app, control

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        told = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode()
        entry = self.control.note(scope["method"], scope["path"], query, told)
        if entry["status"] is not None:
            headers = [(b"content-type", b"text/html"), (b"location", entry["location"].encode())]
            start = {"type": "http.response.start", "status": entry["status"]}
            await send({**start, "headers": headers})
            await send({"type": "http.response.body", "body": b"<p>Broken"})
            return

        async def noted(message: Any) -> None:
            entry["status"] = message.get("status", entry["status"])
            await send(message)

        await self.app(scope, receive, noted)


class WsgiLog:
    """The same for WSGI."""

    def __init__(self, app: Any, control: Control) -> None:
        self.app, self.control = app, control

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
        entry = self.control.note(environ["REQUEST_METHOD"], path, query, headers)
        if entry["status"] is not None:
            broken = [("Content-Type", "text/html"), ("Location", entry["location"])]
            start_response(f"{entry['status']} Broken", broken)
            return [b"<p>Broken"]

        def noted(status: str, *rest: Any) -> Any:
            entry["status"] = int(status[:3])
            return start_response(status, *rest)

        found: Iterable[bytes] = self.app(environ, noted)
        return found


def main(kind: str, port: str) -> None:
    """Serve until the input ends."""
    control = Control(kind, json.loads(sys.stdin.readline()))
    app = APPS[kind](control.runtime)
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=128)
    if kind in ASGI:
        # No lifespan and no proxy headers: what the application sees is what the proxy sent.
        config = uvicorn.Config(
            AsgiLog(app, control), log_level="warning", lifespan="off", proxy_headers=False
        )
        server: Any = uvicorn.Server(config)
        arguments: tuple[Any, ...] = ([listener],)
    else:
        server = create_server(
            WsgiLog(app, control), sockets=[listener], clear_untrusted_proxy_headers=False
        )
        arguments = ()
    threading.Thread(target=server.run, args=arguments, daemon=True).start()
    print("null", flush=True)
    for line in sys.stdin:
        print(json.dumps(control.obey(**json.loads(line))), flush=True)
    os._exit(0)  # nothing here is worth an orderly end


if __name__ == "__main__":
    main(*sys.argv[1:])
