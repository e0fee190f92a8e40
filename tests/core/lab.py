"""A laboratory for requests: every step of a request is a line of the test.

A `Browser` keeps one cookie; `browser.request()` presents it and loads. What happens between two
lines happens between two requests, so an interleaving is simply the order of lines. Time stands
still until the test moves it. Memory store, blocking colour, no framework.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from openclaw_middleware import Session, SessionSettings
from openclaw_middleware.core.events import Event
from openclaw_middleware.core.exchange import Exchange
from openclaw_middleware.core.request import RequestInfo
from openclaw_middleware.driver import Driver
from openclaw_middleware.runtime import make_desk
from openclaw_middleware.stores.base import Store
from openclaw_middleware.stores.memory import MemoryStore
from openclaw_middleware.testing import Clock, Counting, wrap


class Lab:
    """One deployment on a memory store, with a clock, a trip counter and all events."""

    def __init__(self, store: Any = None, clock: Clock | None = None, **settings: Any) -> None:
        self.clock = clock or Clock(1_700_000_000.0)
        self.settings = SessionSettings.for_tests(**settings)
        self.desk = make_desk(self.settings, wall=self.clock, monotonic=self.clock)
        self.events: list[Event] = []
        self.desk.events.add([self.events.append])
        options = replace(self.settings.store_options(), clock=self.clock)
        self.store: Store = store or MemoryStore(options)
        self.trips = Counting()
        self.driver = Driver(wrap(self.store, self.trips))

    def browser(self) -> Browser:
        """A visitor without a cookie."""
        return Browser(self)

    def told(self, kind: type[Event]) -> list[Any]:
        """The events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]


class Browser:
    """Keeps the value of one cookie, as a browser would."""

    def __init__(self, lab: Lab, cookie: str | None = None) -> None:
        self.lab = lab
        self.cookie = cookie

    def request(self, **info: Any) -> Request:
        """Present the cookie and load, as an eager driver does."""
        return Request(self, **info)

    def twin(self) -> Browser:
        """Another holder of the same cookie (a copy, a second tab with its own jar)."""
        return Browser(self.lab, self.cookie)

    def visit(self, **changes: Any) -> Session:
        """A whole request that sets some keys."""
        request = self.request()
        request.session.update(changes)
        request.finish()
        return request.session

    def sign_in(self, user: object, **keywords: Any) -> str:
        """A whole request that signs in; the session's id."""
        request = self.request()
        request.session.login(user, **keywords)
        request.finish()
        return request.session.id

    def data(self) -> dict[str, Any]:
        """What a further request reads, without leaving a trace in the cookie."""
        request = self.request()
        return request.session.to_dict()

    def user(self) -> str | None:
        """Who a further request finds signed in."""
        return self.request().session.user_id


class Request:
    """One request under way: loaded on construction, over with `finish`."""

    def __init__(self, browser: Browser, *, load: bool = True, **info: Any) -> None:
        self.browser = browser
        lab = browser.lab
        name = lab.desk.cookie.name
        cookies = f"other=1; {name}={browser.cookie}" if browser.cookie else ""
        info.setdefault("cookies", cookies)
        self.x = Exchange(lab.desk, RequestInfo(**info))
        self.session = Session(self.x, lab.driver, None)
        self.headers: list[tuple[str, str]] = []
        if load:
            lab.driver.load(self.x)

    def finish(
        self, *, failed: bool = False, headers: list[tuple[str, str]] | None = None
    ) -> Request:
        """Commit and hand the response's cookie to the browser."""
        driver = self.browser.lab.driver
        driver.commit(self.x, failed=failed)
        if self.x.touch_due():
            driver.touch(self.x)
        self.x.started = True
        self.headers = self.x.finish_headers(list(headers or []))
        for value in self.set_cookies:
            pair, _, attributes = value.partition(";")
            self.browser.cookie = None if "Max-Age=0" in attributes else pair.partition("=")[2]
        return self

    @property
    def set_cookies(self) -> list[str]:
        """The `Set-Cookie` values of the response."""
        return [value for name, value in self.headers if name == "Set-Cookie"]
