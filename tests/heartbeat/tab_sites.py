"""A small real site with limits of seconds, for tabs that are frozen and throttled in real time.

Each site has a name below `localhost`, so that one browser keeps their cookies and storage apart.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from openclaw_middleware import Policy, Session, SessionSettings
from openclaw_middleware.asgi import SessionMiddleware
from openclaw_middleware.manager import SessionManager
from openclaw_middleware.runtime import Runtime, make_desk
from tests.fire.browsing import asgi_server

PREFIX = "/_session/"

# Where `looking` is false, timers that come again and again do nothing: what happens then, an event
# has caused.
PAGE = b"""<!doctype html><html lang="en"><title>A page</title>
<script>
  globalThis.log = [];
  globalThis.looking = true;
  const every = setInterval;
  globalThis.setInterval = (look, ...more) => every(() => looking && look(), ...more);
  const note = (type, more) => log.push({ type, at: performance.now(), wall: Date.now(), ...more });
  for (const type of ["visibilitychange", "freeze", "resume"])
    document.addEventListener(type, () => note(type, { is: document.visibilityState }));
  addEventListener("pageshow", (event) => note("pageshow", { persisted: event.persisted }));
  for (const type of ["warning", "extended", "ended", "unverified", "offline", "online"])
    addEventListener("session-" + type, (event) => note("session-" + type, event.detail));
  const keeper = () => document.querySelector("session-keeper").keeper;
  const phase = () => keeper()?.status().phase.replace(/idle|absolute/, "warning");
  const logged = (type) => log.filter((each) => each.type == type);
</script>
<script type="module" src="/_session/client.js"></script>
<session-keeper></session-keeper>
<textarea style="position: fixed; inset: 0" autofocus></textarea>
"""


@dataclass
class Asked:
    """A request to the heartbeat, when it arrived, and how it was answered."""

    at: float
    name: str
    body: bytes = b""
    status: int = 0
    answer: dict[str, Any] = field(default_factory=dict)


@dataclass
class TabSite:
    """One site, and what was asked of its heartbeat.

    Attributes:
        idle, absolute: seconds, the limits of all its sessions.
        interval: seconds between two heartbeats, None: what follows from the limits.
        slow: seconds by which answers of a name are held back.
    """

    idle: float
    absolute: float
    interval: float | None = None
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    slow: dict[str, float] = field(default_factory=dict)
    _past: float = 0.0

    def __post_init__(self) -> None:
        settings = SessionSettings.for_tests(enable_heartbeat=True)
        desk = make_desk(settings)
        # Settings refuse limits as short as these: nobody could react to the warning.
        rules = replace(desk.rules, policies={"default": Policy(self.idle, self.absolute)})
        self.runtime = Runtime(settings, desk=replace(desk, rules=rules), clock=self.clock)
        heartbeat = self.runtime.heartbeat
        assert heartbeat is not None
        if (interval := self.interval) is not None:
            heartbeat._interval = lambda idle: interval  # type: ignore[method-assign]
        self.manager = SessionManager(self.runtime)
        self._inside = SessionMiddleware(self._application, self.manager)

    def clock(self) -> float:
        """The server's epoch seconds."""
        return time.time() - self._past

    def sleep(self, seconds: float) -> None:
        """For the server, so much time has gone by."""
        self._past -= seconds

    def beats(self, after: float = 0.0) -> list[Asked]:
        """The heartbeats since an epoch second."""
        return [each for each in self.asked if each.name == "heartbeat" and each.at >= after]

    def left(self) -> float | None:
        """Seconds the only session has before the idle limit; None when none is alive."""
        driver = self.runtime.blocking
        found = [driver.store.load(each) for each in list(driver.store.state.records)]  # type: ignore[attr-defined]
        ends = [r.record.last_active_at + self.idle for r in found if hasattr(r, "record")]
        left = [end - self.clock() for end in ends if end > self.clock()]
        assert len(left) < 2, "more than one session"
        return left[0] if left else None

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        """`/login?left=8` signs in as if most of the idle time had passed; else a page."""
        if scope["path"] == "/login":
            session: Session = scope["session"]
            left = float(scope["query_string"].decode().partition("=")[2] or self.idle)
            self._past += self.idle - left
            session.login("ada")
            await session.asave()
            self._past -= self.idle - left
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": PAGE})

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Note what is asked of the heartbeat."""
        name = scope["path"].removeprefix(PREFIX)
        if name == scope["path"] or name == "client.js":
            return await self._inside(scope, receive, send)
        asked = Asked(time.time(), name)

        async def noted() -> Any:
            message = await receive()
            asked.body += message.get("body", b"")
            return message

        async def told(message: Any) -> None:
            if message["type"] == "http.response.start":
                asked.status = message["status"]
                await asyncio.sleep(self.slow.get(name, 0))
            else:
                asked.answer = json.loads(message["body"] or b"{}")
            await send(message)

        await self._inside(scope, noted, told)
        self.asked.append(asked)


@contextmanager
def tab_site(
    name: str, idle: float, absolute: float = 3600, interval: float | None = None
) -> Iterator[TabSite]:
    """Serve one; its `url` ends without a slash."""
    site = TabSite(idle, absolute, interval)
    with asgi_server(site) as port:
        site.url = f"http://{name}.localhost:{port}"
        yield site
    site.manager.close()
