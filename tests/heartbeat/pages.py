"""A page's part of the heartbeat without a browser: what it sends, through any runner."""

from __future__ import annotations

import json
from typing import Any

from tests.drivers.world import Call, Handler, Response, World

PREFIX = "/_session/"
OURS = (("x-session-client", "1"), ("sec-fetch-site", "same-origin"))


class Page:
    """One browser's page in front of one application."""

    def __init__(self, runner: Any, name: str = "a", world: World | None = None, **settings: Any):
        self.world = world or World(enable_heartbeat=True, **settings)
        self.runner = runner(self.world) if isinstance(runner, type) else runner
        self.browser = self.world.browser(name)

    def visit(self, handler: Handler | None = None, path: str = "/") -> Response:
        """Ask the application for a page."""
        return self.send("GET", path, handler=handler)

    def status(self, query: str = "") -> dict[str, Any]:
        """Ask how long the session has."""
        return told(self.send("GET", f"{PREFIX}status", query=query))

    def beat(self, **report: Any) -> dict[str, Any]:
        """Report that its person is there."""
        return told(self.post("heartbeat", report))

    def post(self, name: str, report: Any = None, **given: Any) -> Response:
        """Send a report."""
        body = b"" if report is None else json.dumps(report).encode()
        return self.send("POST", PREFIX + name, body=body, **given)

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: tuple[tuple[str, str], ...] = OURS,
        handler: Handler | None = None,
        query: str = "",
        body: bytes = b"",
        cut: bool = False,
    ) -> Response:
        """Send anything, with the browser's cookies, and keep what comes back."""
        if self.browser.header:
            headers = (*headers, ("cookie", self.browser.header))
        self.world.trips.reset()
        call = Call(handler, method, path, headers, query, body, cut)
        response: Response = self.runner.request(call)
        assert response.error is None, response.error
        self.browser.take(response)
        return response


def told(response: Response) -> dict[str, Any]:
    """What an answer says, its status beside it."""
    assert response.one("cache-control") == "no-store"
    assert response.one("content-type") == "application/json"
    assert "cookie" in (response.one("vary") or "").lower()
    found: dict[str, Any] = json.loads(response.body)
    return found | {"status": response.status}
